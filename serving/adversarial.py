"""Pools made to be hard for an order, or to leave it nothing to do.

None is in the paper. Lengths are chosen so that a KV cache of some 60,000 tokens holds a small
part of the pool. Requests come shuffled, so that no order gets its answer from the input.

| pool | what it is | what it asks |
| --- | --- | --- |
| `alike` | one and the same request, again and again | nothing can be gained; who loses? |
| `unique` | equal lengths, nothing shared | the same, without a cache to profit from |
| `giant_prefix` | one prefix of 8192 tokens before all | is it ever evicted or split up? |
| `heavy_tail` | Pareto outputs (exponent 1.3), nothing shared | a sample misses what matters |
| `opposed` | groups that each mix compute- and memory-heavy requests | density or sharing? |
| `deep_chain` | chains of prompts that extend one another by a block | tree as deep as requests |
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serving.mixes import shared_prefix_hashes
from serving.pool import RequestPool, Workload
from serving.sources import lognormal

Lengths = NDArray[np.int64]

GIANT_TOKENS = 8192
PARETO_EXPONENT = 1.3
LONGEST_OUTPUT = 16_384
GROUP_TOKENS = 1024
GROUP_REQUESTS = 64
MEMORY_HEAVY = 4  # one request in so many of a group
CHAIN_LINKS = 256


def adversarial(name: str, requests: int, block_tokens: int, rng: np.random.Generator) -> Workload:
    """Return the pool called `name`, shuffled.

    Args:
        name: a key of `POOLS`.
        requests: pool size, >= 1.
        block_tokens: tokens per KV block; what is shared counts in whole blocks.
        rng: source of all chance.

    Raises:
        ValueError: there is no such pool.
    """
    if name not in POOLS:
        raise ValueError(f"unknown adversarial pool {name!r}; there are {', '.join(POOLS)}")
    prompt, output, group, shared = POOLS[name](requests, block_tokens, rng)
    mixed = rng.permutation(requests)
    prompt, group, depth = prompt[mixed], group[mixed], shared[mixed] // block_tokens
    hashes = shared_prefix_hashes(prompt, group, depth, block_tokens)
    pool = RequestPool.from_hashes(prompt, hashes, block_tokens)
    return Workload.of(pool, output[mixed], f"generated: adversarial pool {name}")


# Each returns prompt tokens, output tokens, group, and tokens shared with the group, int64[n].
Parts = tuple[Lengths, Lengths, Lengths, Lengths]


def _whole(values: NDArray[np.float64]) -> Lengths:
    return np.maximum(1, np.rint(values)).astype(np.int64)


def _alike(n: int, block_tokens: int, rng: np.random.Generator) -> Parts:
    del block_tokens, rng
    zeros = np.zeros(n, np.int64)
    return zeros + 512, zeros + 128, zeros, zeros + 512


def _unique(n: int, block_tokens: int, rng: np.random.Generator) -> Parts:
    del block_tokens, rng
    zeros = np.zeros(n, np.int64)
    return zeros + 512, zeros + 128, zeros, zeros


def _giant_prefix(n: int, block_tokens: int, rng: np.random.Generator) -> Parts:
    del block_tokens
    zeros = np.zeros(n, np.int64)
    prompt = GIANT_TOKENS + _whole(lognormal(rng, 128, 1.0, n))
    return prompt, _whole(lognormal(rng, 64, 1.5, n)), zeros, zeros + GIANT_TOKENS


def _heavy_tail(n: int, block_tokens: int, rng: np.random.Generator) -> Parts:
    del block_tokens
    output = np.minimum(LONGEST_OUTPUT, _whole(32 * (1 + rng.pareto(PARETO_EXPONENT, n))))
    zeros = np.zeros(n, np.int64)
    return _whole(lognormal(rng, 384, 1.0, n)), output, zeros, zeros


def _opposed(n: int, block_tokens: int, rng: np.random.Generator) -> Parts:
    """Each group: a quarter of outputs of about 1024 tokens, the rest of 4, one prefix."""
    del block_tokens
    place = np.arange(n)
    heavy = place % MEMORY_HEAVY == 0
    own = _whole(lognormal(rng, 256, 0.5, n))
    output = np.where(heavy, _whole(lognormal(rng, 1024, 0.3, n)), 4)
    group = place // GROUP_REQUESTS * 1000
    return GROUP_TOKENS + own, output, group, np.full(n, GROUP_TOKENS)


def _deep_chain(n: int, block_tokens: int, rng: np.random.Generator) -> Parts:
    place = np.arange(n)
    prompt = (place % CHAIN_LINKS + 1) * block_tokens + 1  # the last token is never a hit
    output = _whole(lognormal(rng, 64, 1.5, n))
    return prompt, output, place // CHAIN_LINKS * 1000, prompt


POOLS: dict[str, Callable[[int, int, np.random.Generator], Parts]] = {
    "alike": _alike,
    "unique": _unique,
    "giant_prefix": _giant_prefix,
    "heavy_tail": _heavy_tail,
    "opposed": _opposed,
    "deep_chain": _deep_chain,
}
