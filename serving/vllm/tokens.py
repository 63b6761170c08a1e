"""Token ids for a pool that knows only which prefixes are alike."""

from __future__ import annotations

import numpy as np

from serving.pool import RequestPool

FIRST_TOKEN = 3
"""Smaller ids are special to a Llama."""


def prompts_of(pool: RequestPool, vocabulary: int, rng: np.random.Generator) -> list[list[int]]:
    """Return a prompt for each request: equal prefix ids, equal tokens; everything else random.

    Two blocks that the pool tells apart are equal by chance once in vocabulary^block_tokens.

    Raises:
        ValueError: the vocabulary has no more than special tokens.
    """
    if vocabulary <= FIRST_TOKEN:
        raise ValueError(f"vocabulary must be > {FIRST_TOKEN}, got {vocabulary}")
    size = pool.block_tokens
    known = int(pool.block_ids.max()) + 1 if pool.block_ids.size else 0
    blocks = rng.integers(FIRST_TOKEN, vocabulary, (known, size))
    prompts = []
    for r in range(len(pool)):
        ids = pool.block_ids[pool.block_offsets[r] : pool.block_offsets[r + 1]]
        rest = int(pool.prompt_tokens[r]) - ids.size * size
        tail = rng.integers(FIRST_TOKEN, vocabulary, rest)
        prompts.append([*blocks[ids].ravel().tolist(), *tail.tolist()])
    return prompts
