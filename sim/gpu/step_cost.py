"""Time of one batch step of a dense decoder.

    compute = max(2 P tokens / flops, weight bytes / bandwidth) + 4 H L pairs / flops
    memory  = KV tokens read by decoding requests x KV bytes per token / bandwidth
    step    = overlap(compute, memory), rounded to whole nanoseconds, at least 1

After BlendServe section 4, with the weights' read added to the GEMMs (their roofline) and
prefill attention counted by query-key pairs. Domain: batches whose attention is a streaming
read of the KV cache and whose GEMMs are large or weight-bound. Left out: kernel launches and
the CPU's scheduling, wave quantisation, KV reads of prefill chunks, FLOPs of decode attention,
norms and activations, communication (a group of GPUs scales ideally). With data-sheet rates
expect times too short by 1.5x to 3x; compare ratios, not tokens per second.
"""

from __future__ import annotations

from typing import NamedTuple

import numba

from sim.gpu.hardware import Gpu
from sim.gpu.models import LlmShape
from sim.gpu.overlap import Overlap, combine

NS_PER_S = 1e9


class StepRates(NamedTuple):
    """All that a step's time depends on besides the batch; times in ns."""

    gemm_ns_per_token: float
    weights_read_ns: float
    attention_ns_per_pair: float
    kv_read_ns_per_token: float
    overlap_code: int
    hidden_fraction: float


def step_rates(
    gpu: Gpu, model: LlmShape, overlap: Overlap, *, profiled: bool = False, gpus: int = 1
) -> StepRates:
    """Return the rates of `model` on `gpus` ideal copies of `gpu`.

    Raises:
        ValueError: `gpus` < 1, or profiled rates are asked for and unknown.
    """
    if gpus < 1:
        raise ValueError(f"gpus must be >= 1, got {gpus}")
    flops, bandwidth = (rate * gpus for rate in gpu.rates(profiled))
    return StepRates(
        gemm_ns_per_token=NS_PER_S * 2.0 * model.parameters / flops,
        weights_read_ns=NS_PER_S * model.weight_bytes / bandwidth,
        attention_ns_per_pair=NS_PER_S * 4.0 * model.hidden * model.layers / flops,
        kv_read_ns_per_token=NS_PER_S * model.kv_bytes_per_token / bandwidth,
        overlap_code=overlap.code,
        hidden_fraction=float(overlap.hidden_fraction),
    )


@numba.njit(cache=True)
def step_cost(rates: StepRates, tokens: int, pairs: int, kv_tokens: int) -> tuple[int, int, int]:
    """Return (compute ns, memory ns, step ns) of one batch step, each a whole number.

    Args:
        rates: what hardware, model and overlap decide.
        tokens: prefill plus decode tokens of the step, >= 1.
        pairs: query-key pairs of its prefill chunks.
        kv_tokens: KV tokens read by its decoding requests.
    """
    gemm = max(rates.gemm_ns_per_token * tokens, rates.weights_read_ns)
    compute = gemm + rates.attention_ns_per_pair * pairs
    memory = rates.kv_read_ns_per_token * kv_tokens
    step = combine(rates.overlap_code, rates.hidden_fraction, compute, memory)
    step_ns = max(1, int(step + 0.5))
    return int(compute + 0.5), int(memory + 0.5), step_ns
