"""Time of the communication between tensor-parallel GPUs.

NanoFlow (OSDI '25), section 3: T_net = 4 (N - 1) B_dense D S L / NetBW, with N GPUs, B_dense
tokens in the step, D the hidden size, S the bytes of a value and L layers. Two all-reduces a
layer, each of which moves 2 (N - 1) B D S bytes in all; NetBW is the rate of all N GPUs
together, one direction: with 300 GB/s each, 8 A100s give 31.32 ms where its Table 2 has 31.33.
"""

from __future__ import annotations

from sim.gpu.hardware import Gpu
from sim.gpu.models import LlmShape

NS_PER_S = 1e9


def network_token_ns(gpu: Gpu, model: LlmShape, gpus: int) -> float:
    """Return the ns of communication per token of a step; 0 for a single GPU."""
    moved = 4.0 * (gpus - 1) * model.hidden * model.value_bytes * model.layers
    return NS_PER_S * moved / (gpu.link_bytes_s * gpus)
