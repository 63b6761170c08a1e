"""Time of the dense operators of a step (GEMMs above all) by the number of its tokens.

    dense[t] = max(2 P t' / flops, weight bytes / bandwidth), t' = t rounded up to the quantum

After BlendServe section 4; the weights' read is the GEMMs' roofline. Of a mixture of experts a
token meets the active weights, a step reads all of them (true of large batches, and the more
wrong the fewer tokens a step has). Flop rates stay those of FP16 whatever the values' size. The
quantum is NanoFlow's rule that a batch holds a multiple of 128 tokens: what is missing is padded,
and costs the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.gpu.hardware import Gpu
from sim.gpu.models import LlmShape

NS_PER_S = 1e9


def rounded_up(max_tokens: int, quantum: int) -> NDArray[np.int64]:
    """Return int64[max_tokens + 1]: each number of tokens, rounded up to the quantum.

    Raises:
        ValueError: `max_tokens` or `quantum` is below 1.
    """
    if max_tokens < 1 or quantum < 1:
        raise ValueError(f"max_tokens and quantum must be >= 1, got {max_tokens} and {quantum}")
    return -(-np.arange(max_tokens + 1) // quantum) * quantum


def padded(max_tokens: int, captured: tuple[int, ...]) -> NDArray[np.int64]:
    """Return int64[max_tokens + 1]: each number of tokens, rounded up to a captured CUDA graph.

    vLLM replays the next larger graph of `captured` sizes and computes on its padding; beyond the
    largest, and where nothing is captured, a step runs as it is.

    Raises:
        ValueError: a size is below 1.
    """
    if captured and min(captured) < 1:
        raise ValueError(f"sizes of captured graphs must be >= 1, got {min(captured)}")
    tokens = np.arange(max_tokens + 1)
    sizes = np.unique([size for size in captured if size <= max_tokens]).astype(np.int64)
    larger = np.searchsorted(sizes, tokens)
    return np.where(larger < sizes.size, np.r_[sizes, 0][larger], tokens) * (tokens > 0)


def analytic_dense_ns(
    gpu: Gpu, model: LlmShape, max_tokens: int, *, profiled: bool, gpus: int, quantum: int
) -> NDArray[np.float64]:
    """Return float64[max_tokens + 1], the roofline on `gpus` ideal copies of `gpu`."""
    flops, bandwidth = (rate * gpus for rate in gpu.rates(profiled))
    tokens = rounded_up(max_tokens, quantum)
    weights = NS_PER_S * model.weight_bytes / bandwidth
    return np.maximum(NS_PER_S * model.flops_per_token / flops * tokens, weights)
