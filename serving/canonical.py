"""Dense identities of prefix blocks: equal identity <=> equal prefix up to that block's end.

Both functions run in O(total blocks) (O(total tokens) for token ids) with one open-addressing
table, and number the prefixes in order of first appearance. It follows that a prefix's number
is larger than that of its parent, and that prefixes first met in one request are consecutive.
"""

from __future__ import annotations

import numba
import numpy as np

EMPTY = -1


@numba.njit(cache=True)
def _mix(previous: int | np.int64, raw: int | np.int64) -> np.int64:
    """Return a well-spread non-negative 63-bit hash of two integers (splitmix64 finaliser)."""
    x = np.uint64(previous + 1) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(raw)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((x ^ (x >> np.uint64(31))) >> np.uint64(1))


@numba.njit(cache=True)
def _table(entries: int) -> np.ndarray:
    size = 16
    while size < entries + entries // 2:
        size *= 2
    return np.full(size, EMPTY, np.int32)


@numba.njit(cache=True)
def chain_hashes(raw: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return dense prefix ids for blocks that carry content hashes.

    Args:
        raw: int64[total], any identity of a block's own content (or of its whole prefix).
        offsets: int64[n + 1], request r owns raw[offsets[r] : offsets[r + 1]].

    Returns:
        int32[total] of dense ids.
    """
    table = _table(raw.size)
    mask = table.size - 1
    out = np.empty(raw.size, np.int32)
    parents = np.empty(raw.size, np.int32)
    contents = np.empty(raw.size, np.int64)
    known = 0
    for r in range(offsets.size - 1):
        previous = EMPTY
        for i in range(offsets[r], offsets[r + 1]):
            slot = _mix(previous, raw[i]) & mask
            while table[slot] != EMPTY:
                j = table[slot]
                if parents[j] == previous and contents[j] == raw[i]:
                    break
                slot = (slot + 1) & mask
            if table[slot] == EMPTY:
                table[slot] = known
                parents[known] = previous
                contents[known] = raw[i]
                known += 1
            previous = table[slot]
            out[i] = previous
    return out


@numba.njit(cache=True)
def _content_hash(tokens: np.ndarray, start: int, count: int) -> np.int64:
    value = np.int64(0)
    for k in range(count):
        value = _mix(value >> 1, tokens[start + k])
    return value


@numba.njit(cache=True)
def _equal(tokens: np.ndarray, a: int, b: int, count: int) -> bool:
    k = 0
    while k < count and tokens[a + k] == tokens[b + k]:
        k += 1
    return k == count


@numba.njit(cache=True)
def chain_tokens(
    tokens: np.ndarray, token_offsets: np.ndarray, offsets: np.ndarray, block_tokens: int
) -> np.ndarray:
    """Return dense prefix ids for requests given as token ids; contents are compared exactly.

    Args:
        tokens: int64[total tokens].
        token_offsets: int64[n + 1] into `tokens`.
        offsets: int64[n + 1] into the result; only full blocks are counted.
        block_tokens: tokens per block.
    """
    total = offsets[-1]
    table = _table(total)
    mask = table.size - 1
    out = np.empty(total, np.int32)
    parents = np.empty(total, np.int32)
    starts = np.empty(total, np.int64)
    known = 0
    for r in range(offsets.size - 1):
        previous = EMPTY
        for i in range(offsets[r], offsets[r + 1]):
            start = token_offsets[r] + (i - offsets[r]) * block_tokens
            slot = _mix(previous, _content_hash(tokens, start, block_tokens)) & mask
            while table[slot] != EMPTY:
                j = table[slot]
                if parents[j] == previous and _equal(tokens, starts[j], start, block_tokens):
                    break
                slot = (slot + 1) & mask
            if table[slot] == EMPTY:
                table[slot] = known
                parents[known] = previous
                starts[known] = start
                known += 1
            previous = table[slot]
            out[i] = previous
    return out
