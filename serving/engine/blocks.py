"""The block cache in arrays; rules as in `serving.engine.reference_cache`."""

from __future__ import annotations

import numba

from serving.engine.state import Blocks


@numba.njit(cache=True)
def _unlink(blocks: Blocks, block: int) -> None:
    before, after = blocks.before[block], blocks.after[block]
    blocks.after[before] = after
    blocks.before[after] = before
    blocks.free[0] -= 1


@numba.njit(cache=True)
def _forget(blocks: Blocks, block: int) -> None:
    """Drop the block's content from the holders of its prefix."""
    prefix = blocks.content[block]
    if prefix < 0:
        return
    blocks.content[block] = -1
    if blocks.holder[prefix] == block:
        blocks.holder[prefix] = blocks.next_holder[block]
    else:
        i = blocks.holder[prefix]
        while blocks.next_holder[i] != block:
            i = blocks.next_holder[i]
        blocks.next_holder[i] = blocks.next_holder[block]
    blocks.next_holder[block] = -1


@numba.njit(cache=True)
def take(blocks: Blocks) -> int:
    """Return an empty block from the head of the free list, which must not be empty."""
    block = blocks.after[blocks.users.size]
    _unlink(blocks, block)
    _forget(blocks, block)
    blocks.users[block] = 1
    return block


@numba.njit(cache=True)
def share(blocks: Blocks, block: int) -> None:
    """Add a user to a block that was hit."""
    if blocks.users[block] == 0:
        _unlink(blocks, block)
    blocks.users[block] += 1


@numba.njit(cache=True)
def release(blocks: Blocks, block: int) -> None:
    """Take a user away; without users the block joins the free list: at the head if empty."""
    blocks.users[block] -= 1
    if blocks.users[block] > 0:
        return
    end = blocks.users.size
    before = blocks.before[end] if blocks.content[block] >= 0 else end
    after = blocks.after[before]
    blocks.after[before] = block
    blocks.before[block] = before
    blocks.after[block] = after
    blocks.before[after] = block
    blocks.free[0] += 1


@numba.njit(cache=True)
def label(blocks: Blocks, block: int, prefix: int) -> None:
    """Make a full block hit-able under its prefix, behind older holders."""
    if blocks.content[block] >= 0:
        return
    blocks.content[block] = prefix
    i = blocks.holder[prefix]
    if i < 0:
        blocks.holder[prefix] = block
        return
    while blocks.next_holder[i] >= 0:
        i = blocks.next_holder[i]
    blocks.next_holder[i] = block


@numba.njit(cache=True)
def sound(blocks: Blocks) -> bool:
    """Return whether used + free = total, walking the free list."""
    end = blocks.users.size
    walked, i = 0, blocks.after[end]
    while i != end and walked <= end:
        if blocks.users[i] != 0:
            return False
        walked += 1
        i = blocks.after[i]
    used = 0
    for block in range(end):
        used += blocks.users[block] > 0
    return walked == blocks.free[0] and walked + used == end
