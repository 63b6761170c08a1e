"""Time of one batch step of a decoder.

    compute = dense operators (by tokens) + LM head and sampler (by sequences) + prefill attention
    memory  = decode attention: KV tokens read x KV bytes per token / bandwidth
    step    = overlap(overlap(compute, memory), network) + fixed time, in whole ns, at least 1

After BlendServe section 4. Attention costs a rate per query-key pair and per KV token read, or
is looked up in a measured grid (`sim.gpu.attention_grid`). Domain: batches whose attention is a
streaming read of the KV cache and whose GEMMs are large or weight-bound. Left out unless a
measured profile brings them in: kernel launches and the CPU's scheduling (`fixed_ns`), KV reads
of prefill chunks, FLOPs of decode attention, norms and activations. With data-sheet rates expect
times too short by 1.5x to 3x; compare ratios, not tokens per second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from sim.gpu.attention_grid import AttentionGrid, grid_ns, no_grid
from sim.gpu.combine import combine
from sim.gpu.dense import NS_PER_S, analytic_dense_ns
from sim.gpu.hardware import Gpu
from sim.gpu.models import LlmShape
from sim.gpu.network import network_token_ns
from sim.gpu.overlap import Overlap


class Batch(NamedTuple):
    """One step's work, as sums over its requests.

    Attributes:
        tokens: prefill plus decode tokens, >= 1.
        prefill_tokens: of them, those of prompts (and of what is computed again).
        prefills: requests that compute a chunk of a prompt.
        pairs: query-key pairs of those chunks.
        decodes: requests that decode.
        kv_tokens: KV tokens that decoding requests read.
        sampled: requests that get an output token.
    """

    tokens: int
    prefill_tokens: int
    prefills: int
    pairs: int
    decodes: int
    kv_tokens: int
    sampled: int


class WhatIf(NamedTuple):
    """k overlap models: int64[k] codes, and the first sizes[i] of float64[k, m] numbers[i]."""

    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    numbers: NDArray[np.float64]


def what_if(models: Sequence[Overlap]) -> WhatIf:
    """Return the models as arrays."""
    sizes = [len(model.numbers) for model in models]
    numbers = np.zeros((len(models), max(sizes, default=0)))
    for row, model in zip(numbers, models, strict=True):
        row[: len(model.numbers)] = model.numbers
    codes = [model.code for model in models]
    return WhatIf(np.array(codes, np.int64), np.array(sizes, np.int64), numbers)


class StepCosts(NamedTuple):
    """All that a step's time depends on besides the batch; times in ns.

    Attributes:
        dense_ns: float64[t + 1], dense operators by tokens of the step.
        sampled_ns: float64[s + 1], LM head and sampler by sampled sequences; the last entry
            holds for more. [0.0] where the dense operators include them.
        pair_ns: prefill attention per query-key pair.
        kv_token_ns: decode attention per KV token read.
        attention: measured times instead of the two rates, if not empty.
        network_token_ns: communication between the GPUs per token.
        fixed_ns: what every step takes besides.
        overlap_code: of the overlap model.
        overlap_numbers: float64[...], its numbers.
        what_if: further overlap models under which the same steps are timed as well.
    """

    dense_ns: NDArray[np.float64]
    sampled_ns: NDArray[np.float64]
    pair_ns: float
    kv_token_ns: float
    attention: AttentionGrid
    network_token_ns: float
    fixed_ns: float
    overlap_code: int
    overlap_numbers: NDArray[np.float64]
    what_if: WhatIf = what_if(())


def step_costs(
    gpu: Gpu,
    model: LlmShape,
    overlap: Overlap,
    *,
    max_tokens: int = 2048,
    profiled: bool = False,
    gpus: int = 1,
    quantum: int = 1,
    alternatives: Sequence[Overlap] = (),
) -> StepCosts:
    """Return the costs of `model` on `gpus` copies of `gpu`, for steps up to `max_tokens`.

    Tensor-parallel copies share the work evenly and pay for communication (`sim.gpu.network`).

    `alternatives` are further overlap models to time every step under.

    Raises:
        ValueError: `gpus` < 1, or profiled rates are asked for and unknown.
    """
    if gpus < 1:
        raise ValueError(f"gpus must be >= 1, got {gpus}")
    flops, bandwidth = (rate * gpus for rate in gpu.rates(profiled))
    scale = {"profiled": profiled, "gpus": gpus, "quantum": quantum}
    return StepCosts(
        dense_ns=analytic_dense_ns(gpu, model, max_tokens, **scale),
        sampled_ns=np.zeros(1),
        pair_ns=NS_PER_S * model.flops_per_pair / flops,
        kv_token_ns=NS_PER_S * model.kv_bytes_per_token * model.kv_copies(gpus) / bandwidth,
        attention=no_grid(),
        network_token_ns=network_token_ns(gpu, model, gpus),
        fixed_ns=0.0,
        overlap_code=overlap.code,
        overlap_numbers=np.array(overlap.numbers, np.float64),
        what_if=what_if(alternatives),
    )


@numba.njit(cache=True)
def parts_ns(costs: StepCosts, batch: Batch) -> tuple[float, float]:
    """Return (compute ns, memory ns) of one batch step, unrounded."""
    last = costs.sampled_ns.size - 1
    compute = costs.dense_ns[batch.tokens] + costs.sampled_ns[min(batch.sampled, last)]
    if costs.attention.ns.size > 0:
        prefill, memory = grid_ns(costs.attention, batch)
        return compute + prefill, memory
    return compute + costs.pair_ns * batch.pairs, costs.kv_token_ns * batch.kv_tokens


@numba.njit(cache=True)
def step_ns(
    costs: StepCosts, code: int, numbers: np.ndarray, compute: float, memory: float, tokens: int
) -> int:
    """Return the time of a step with these parts under an overlap model, at least 1."""
    step = combine(code, numbers, compute, memory)
    if costs.network_token_ns > 0.0:
        step = combine(code, numbers, step, costs.network_token_ns * tokens)
    return max(1, int(step + costs.fixed_ns + 0.5))


@numba.njit(cache=True)
def step_cost(costs: StepCosts, batch: Batch) -> tuple[int, int, int]:
    """Return (compute ns, memory ns, step ns) of one batch step, each a whole number."""
    compute, memory = parts_ns(costs, batch)
    code, numbers = costs.overlap_code, costs.overlap_numbers
    step = step_ns(costs, code, numbers, compute, memory, batch.tokens)
    return int(compute + 0.5), int(memory + 0.5), step


@numba.njit(cache=True)
def add_what_if(costs: StepCosts, batch: Batch, sums_ns: np.ndarray) -> None:
    """Add the step's time under each model of `what_if` to int64[k] `sums_ns`."""
    models = costs.what_if
    if models.codes.size == 0:
        return
    compute, memory = parts_ns(costs, batch)
    for i in range(models.codes.size):
        numbers = models.numbers[i, : models.sizes[i]]
        sums_ns[i] += step_ns(costs, models.codes[i], numbers, compute, memory, batch.tokens)
