"""Requests as arrays: what is known of them, what an order may see, and the truth.

Three types keep the oracle boundary: a `RequestPool` is public knowledge, a `PoolView` adds
*estimated* output lengths and is all that an order gets, a `Workload` adds the true ones and is
seen by the engine and by the estimators only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving.canonical import chain_hashes, chain_tokens
from serving.density import ResourceModel

S = TypeVar("S", bound=np.generic)


def _frozen(values: ArrayLike, dtype: type[S]) -> NDArray[S]:
    """Return a read-only array that shares no writable base with the caller."""
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


@dataclass(frozen=True, eq=False)
class RequestPool:
    """n requests; every array is read-only.

    Attributes:
        prompt_tokens: int64[n], >= 1.
        block_ids: int32[total], dense ids of the *full* prompt blocks; equal id <=> equal
            prefix up to and including that block. Numbered by first appearance.
        block_offsets: int64[n + 1]; request r owns block_ids[block_offsets[r] : ...[r + 1]].
        block_tokens: tokens per block.
        arrival_ns: int64[n], when a request was submitted.
    """

    prompt_tokens: NDArray[np.int64]
    block_ids: NDArray[np.int32]
    block_offsets: NDArray[np.int64]
    block_tokens: int
    arrival_ns: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of requests."""
        return int(self.prompt_tokens.size)

    @property
    def blocks_per_request(self) -> NDArray[np.int64]:
        """int64[n], full prompt blocks of each request."""
        return np.diff(self.block_offsets)

    @classmethod
    def from_hashes(
        cls,
        prompt_tokens: ArrayLike,
        hashes: ArrayLike,
        block_tokens: int,
        arrival_ns: ArrayLike | None = None,
    ) -> RequestPool:
        """Build a pool from hashes of the full blocks, concatenated over the requests.

        Args:
            prompt_tokens: int[n].
            hashes: int64[sum of prompt_tokens // block_tokens]; within one parent prefix, equal
                hash means equal content.
            block_tokens: tokens per block, >= 1.
            arrival_ns: int[n], 0 for all if absent.

        Raises:
            ValueError: sizes disagree, a prompt is empty, or `block_tokens` < 1.
        """
        prompt = _checked_prompts(prompt_tokens, block_tokens)
        offsets = _offsets(prompt // block_tokens)
        raw = np.ascontiguousarray(hashes, np.int64)
        if raw.size != offsets[-1]:
            raise ValueError(f"{raw.size} block hashes for {offsets[-1]} full blocks")
        return cls._assemble(prompt, chain_hashes(raw, offsets), offsets, block_tokens, arrival_ns)

    @classmethod
    def from_tokens(
        cls,
        prompts: Sequence[ArrayLike],
        block_tokens: int,
        arrival_ns: ArrayLike | None = None,
    ) -> RequestPool:
        """Build a pool from lists of token ids; blocks are compared token by token.

        Raises:
            ValueError: a prompt is empty or `block_tokens` < 1.
        """
        parts = [np.asarray(p, np.int64).ravel() for p in prompts]
        prompt = _checked_prompts([p.size for p in parts], block_tokens)
        tokens = np.concatenate(parts) if parts else np.empty(0, np.int64)
        offsets = _offsets(prompt // block_tokens)
        ids = chain_tokens(tokens, _offsets(prompt), offsets, block_tokens)
        return cls._assemble(prompt, ids, offsets, block_tokens, arrival_ns)

    @classmethod
    def _assemble(
        cls,
        prompt: NDArray[np.int64],
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        block_tokens: int,
        arrival_ns: ArrayLike | None,
    ) -> RequestPool:
        arrival = np.zeros(prompt.size, np.int64) if arrival_ns is None else arrival_ns
        arrival = _frozen(arrival, np.int64)
        if arrival.shape != prompt.shape:
            raise ValueError(f"{arrival.size} arrivals for {prompt.size} requests")
        ids.setflags(write=False)
        frozen_offsets = _frozen(offsets, np.int64)
        return cls(_frozen(prompt, np.int64), ids, frozen_offsets, int(block_tokens), arrival)

    def subset(self, requests: ArrayLike) -> RequestPool:
        """Return the pool of the given requests, in that order, with ids made dense again."""
        chosen = np.asarray(requests, np.int64)
        counts = self.blocks_per_request[chosen]
        starts = np.repeat(self.block_offsets[:-1][chosen] - _offsets(counts)[:-1], counts)
        hashes = self.block_ids[starts + np.arange(counts.sum())]
        arrival = self.arrival_ns[chosen]
        return self.from_hashes(self.prompt_tokens[chosen], hashes, self.block_tokens, arrival)


def _checked_prompts(prompt_tokens: ArrayLike, block_tokens: int) -> NDArray[np.int64]:
    prompt = np.asarray(prompt_tokens, np.int64).ravel()
    if block_tokens < 1:
        raise ValueError(f"block_tokens must be >= 1, got {block_tokens}")
    if prompt.size and prompt.min() < 1:
        raise ValueError(f"request {int(prompt.argmin())} has an empty prompt")
    return prompt


@dataclass(frozen=True, eq=False)
class Workload:
    """A pool with the truth: for engines and estimators, never for an order.

    Attributes:
        pool: what everybody knows.
        output_tokens: int64[n], true output lengths, >= 1.
        output_known: bool[n], lengths that are known beforehand (video and image generation:
            BlendServe section 5.1); an estimator may read those.
        origin: where the requests come from, in one sentence.
    """

    pool: RequestPool
    output_tokens: NDArray[np.int64]
    output_known: NDArray[np.bool_]
    origin: str

    @classmethod
    def of(
        cls,
        pool: RequestPool,
        output_tokens: ArrayLike,
        origin: str,
        output_known: ArrayLike | None = None,
    ) -> Workload:
        """Check shapes and freeze the arrays.

        Raises:
            ValueError: a length is missing or below 1.
        """
        output = _frozen(output_tokens, np.int64)
        known = np.zeros(len(pool), bool) if output_known is None else output_known
        known = _frozen(known, np.bool_)
        if output.shape != (len(pool),) or known.shape != (len(pool),):
            raise ValueError(f"{output.size} output lengths for {len(pool)} requests")
        if output.size and output.min() < 1:
            raise ValueError(f"request {int(output.argmin())} has no output token")
        return cls(pool, output, known, origin)

    def subset(self, requests: ArrayLike) -> Workload:
        """Return the workload of the given requests, in that order."""
        chosen = np.asarray(requests, np.int64)
        pool = self.pool.subset(chosen)
        known = self.output_known[chosen]
        return self.of(pool, self.output_tokens[chosen], self.origin, known)


@dataclass(frozen=True, eq=False)
class PoolView:
    """All that an order sees.

    Attributes:
        pool: the requests.
        estimated_output_tokens: float64[n], >= 0; estimates, however good.
        resources: rates of the model on the GPU, for densities.
        kv_capacity_tokens: tokens that the KV cache holds.
    """

    pool: RequestPool
    estimated_output_tokens: NDArray[np.float64]
    resources: ResourceModel
    kv_capacity_tokens: int

    @classmethod
    def of(
        cls,
        pool: RequestPool,
        estimated_output_tokens: ArrayLike,
        resources: ResourceModel,
        kv_capacity_tokens: int,
    ) -> PoolView:
        """Freeze a *copy* of the estimates, so that no path leads back to their source.

        Raises:
            ValueError: an estimate is missing, negative or not finite.
        """
        estimates = _frozen(estimated_output_tokens, np.float64)
        if estimates.shape != (len(pool),):
            raise ValueError(f"{estimates.size} estimates for {len(pool)} requests")
        if estimates.size and not (np.isfinite(estimates).all() and estimates.min() >= 0):
            raise ValueError("estimated output lengths must be finite and >= 0")
        return cls(pool, estimates, resources, int(kv_capacity_tokens))
