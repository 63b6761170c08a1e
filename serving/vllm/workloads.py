"""Pools that step costs are fitted to, and others that they are judged on.

The first set spreads what a step can be: chunks of all sizes, batches of 1 to all seats, short
and long contexts, shared and not. The second is like work that people have: a mix, requests
behind long shared prefixes, long outputs. No pool is in both, and lengths are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serving.pool import RequestPool, Workload
from serving.vllm.tokens import FIRST_TOKEN

FITTED = ("chunks", "batches", "contexts", "shared")
JUDGED = ("mix", "prefix", "outputs")


@dataclass(frozen=True)
class Shape:
    """A pool in a few numbers, at scale 1.

    Attributes:
        requests: their number.
        prompt: shortest and longest own part of a prompt, in tokens.
        output: shortest and longest output.
        groups: prefixes, one of which each request has; 0 for none.
        prefix: tokens of a prefix.
        seats: running requests at most.
        budget: tokens per step.
    """

    requests: int
    prompt: tuple[int, int]
    output: tuple[int, int]
    groups: int = 0
    prefix: int = 0
    seats: int = 32
    budget: int = 512


SHAPES = {
    "chunks": Shape(24, (16, 900), (1, 6), seats=8, budget=384),
    "batches": Shape(40, (8, 64), (4, 120), seats=32),
    "contexts": Shape(20, (300, 900), (20, 60), seats=16),
    "shared": Shape(32, (8, 64), (20, 60), groups=2, prefix=640, seats=24),
    "mix": Shape(60, (32, 600), (8, 100), seats=24),
    "prefix": Shape(48, (16, 96), (16, 64), groups=4, prefix=512),
    "outputs": Shape(24, (16, 128), (120, 240), seats=24),
}


def pool_of(
    shape: Shape, block_tokens: int, vocabulary: int, rng: np.random.Generator, scale: float = 1.0
) -> tuple[Workload, list[list[int]]]:
    """Return a pool of that shape, and its token ids.

    Args:
        shape: which.
        block_tokens: tokens per KV block.
        vocabulary: token ids.
        rng: the only source of chance.
        scale: of the number of requests; at least four remain.
    """
    n = max(4, round(shape.requests * scale))
    heads = rng.integers(FIRST_TOKEN, vocabulary, (max(shape.groups, 1), shape.prefix))
    prompts = []
    for _ in range(n):
        own = rng.integers(FIRST_TOKEN, vocabulary, rng.integers(*shape.prompt, endpoint=True))
        head = heads[rng.integers(len(heads))] if shape.groups else heads[0, :0]
        prompts.append(np.concatenate([head, own]))
    output = rng.integers(*shape.output, n, endpoint=True)
    pool = RequestPool.from_tokens(prompts, block_tokens)
    origin = f"generated: {n} requests of {shape.prefix} shared tokens in {shape.groups} groups"
    return Workload.of(pool, output, origin), [p.tolist() for p in prompts]
