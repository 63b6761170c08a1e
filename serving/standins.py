"""Generated pools that stand in for public traces which are not on this machine.

Only published figures enter: number of requests, mean lengths, block sharing (see the catalogue
for where the traces are). Lengths are log-normal. The name of a stand-in ends in `-like`, so
that results never mix with those of the trace.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serving.pool import RequestPool, Workload
from serving.sources import lognormal

HOUR_NS = 3_600_000_000_000


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.maximum(1, np.rint(values)).astype(np.int64)


def _unshared(
    prompt: tuple[float, float],
    output: tuple[float, float],
    requests: int,
    block_tokens: int,
    rng: np.random.Generator,
    origin: str,
) -> Workload:
    prompts = _whole(lognormal(rng, *prompt, requests))
    outputs = _whole(lognormal(rng, *output, requests))
    arrival = np.sort(rng.integers(0, HOUR_NS, requests))
    hashes = np.arange((prompts // block_tokens).sum())
    pool = RequestPool.from_hashes(prompts, hashes, block_tokens, arrival)
    return Workload.of(pool, outputs, origin)


def azure_like(requests: int, block_tokens: int, rng: np.random.Generator) -> Workload:
    """Stand in for the Azure 2023 code trace: 2048 in, 28 out on average, nothing shared."""
    origin = "generated: stands in for Azure LLM inference 2023 (code), means 2048/28"
    return _unshared((2048, 0.9), (28, 2.0), requests, block_tokens, rng, origin)


def arxiv_like(requests: int, block_tokens: int, rng: np.random.Generator) -> Workload:
    """Stand in for Vidur's arXiv summarisation trace: 2588 in, 291 out, nothing shared."""
    origin = "generated: stands in for arXiv summarisation (Vidur), means 2588/291"
    return _unshared((2588, 0.4), (291, 0.5), requests, block_tokens, rng, origin)


def mooncake_like(requests: int, block_tokens: int, rng: np.random.Generator) -> Workload:
    """Stand in for Mooncake's conversation trace: 12035 in, 343 out, 37 % of blocks shared.

    Conversations of geometrically many turns (1.6 on average), each turn's prompt being the
    previous one plus as much again on average as the first; blocks are shared with the previous
    turn only. With equal means of first prompt and increment the shared part is 37 %.
    """
    turns = rng.geometric(1 / 1.597, requests)
    turns = turns[: np.searchsorted(np.cumsum(turns), requests) + 1]
    conversation = np.repeat(np.arange(turns.size), turns)[:requests]
    added = _whole(lognormal(rng, 12035 / 1.597, 0.9, requests))
    first = np.searchsorted(conversation, conversation)
    total = np.cumsum(added)
    prompts = total - (total - added)[first]
    outputs = _whole(lognormal(rng, 343, 0.75, requests))
    starts = rng.integers(0, HOUR_NS, turns.size)
    gaps = rng.integers(HOUR_NS // 60, HOUR_NS // 10, requests)
    arrival = starts[conversation] + (np.arange(requests) - first) * gaps
    blocks = prompts // block_tokens
    place = np.arange(blocks.sum()) - np.repeat(np.cumsum(blocks) - blocks, blocks)
    hashes = np.repeat(conversation, blocks) * 1_000_003 + place
    order = np.argsort(arrival, kind="stable")
    pool = RequestPool.from_hashes(prompts, hashes, block_tokens, arrival).subset(order)
    origin = "generated: stands in for Mooncake conversation (FAST '25), means 12035/343"
    return Workload.of(pool, outputs[order], origin)


STANDINS: dict[str, Callable[[int, int, np.random.Generator], Workload]] = {
    "azure-code-2023": azure_like,
    "arxiv-summarisation": arxiv_like,
    "mooncake-conversation": mooncake_like,
}
