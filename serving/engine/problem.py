"""The arrays that both engines work on, and the checks of what they are given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.engine.config import EngineConfig
from serving.estimates import Estimate
from serving.pool import Workload


class Problem(NamedTuple):
    """Requests as the engine needs them; n requests.

    Attributes:
        prompt: int64[n], prompt tokens.
        output: int64[n], true output tokens.
        target: int64[n], KV tokens that `kv_reserve` wants kept for each request, or what it is
            expected to end with under `predict_peak` and SGLang's rules; 0 otherwise.
        block_ids: int32[total], prefix ids of full prompt blocks.
        block_offsets: int64[n + 1] into `block_ids`.
        own_base: int64[n], id of each request's first block that is not a full prompt block;
            such ids are shared with nobody, and matter only after a preemption.
        ids: number of prefix ids and own ids together.
        run_first: int64[s], to be finished before anything else is admitted.
        fits: bool[n], False where a request can never fit the KV cache.
        block_tokens: tokens per block.
        arrival_ns: int64[n], when each comes; all 0 where they are there from the start.
        by_arrival: int64[n], requests in order of arrival, the pool's order among equals.
        prefix_caching: whether full blocks can be hit.
    """

    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    target: NDArray[np.int64]
    block_ids: NDArray[np.int32]
    block_offsets: NDArray[np.int64]
    own_base: NDArray[np.int64]
    ids: int
    run_first: NDArray[np.int64]
    fits: NDArray[np.bool_]
    block_tokens: int
    arrival_ns: NDArray[np.int64]
    by_arrival: NDArray[np.int64]
    prefix_caching: bool


def make_problem(workload: Workload, estimate: Estimate, config: EngineConfig) -> Problem:
    """Lay out the arrays. The last output token is never stored, hence the -1.

    Raises:
        ValueError: a sample is to be run first although requests come over time.
    """
    if config.arrivals and estimate.run_first.size:
        raise ValueError("a sample cannot be run first when requests arrive over time")
    pool, size = workload.pool, workload.pool.block_tokens
    stored = pool.prompt_tokens + workload.output_tokens - 1
    blocks = -(-stored // size)
    own = np.r_[0, np.cumsum(np.maximum(blocks - pool.blocks_per_request, 0))]
    shared = int(pool.block_ids.max()) + 1 if pool.block_ids.size else 0
    share = 1.0 if config.predict_peak or config.rules == "sglang" else config.kv_reserve
    reserved = np.floor(share * estimate.output_tokens).astype(np.int64)
    arrival = pool.arrival_ns if config.arrivals else np.zeros(len(pool), np.int64)
    return Problem(
        prompt=pool.prompt_tokens,
        output=workload.output_tokens,
        target=(pool.prompt_tokens + reserved) * (share > 0),
        block_ids=pool.block_ids,
        block_offsets=pool.block_offsets,
        own_base=shared + own[:-1],
        ids=shared + int(own[-1]),
        run_first=estimate.run_first,
        fits=blocks <= config.kv_blocks,
        block_tokens=size,
        arrival_ns=arrival,
        by_arrival=np.argsort(arrival, kind="stable"),
        prefix_caching=config.prefix_caching,
    )


def is_permutation(sequence: NDArray[np.integer], n: int) -> bool:
    """Return whether `sequence` holds each of 0..n-1 once."""
    sequence = np.asarray(sequence)
    if sequence.shape != (n,) or not np.issubdtype(sequence.dtype, np.integer):
        return False
    return n == 0 or bool(
        (np.bincount(sequence[(sequence >= 0) & (sequence < n)], minlength=n) == 1).all()
    )
