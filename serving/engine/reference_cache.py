"""The block cache in plain Python: reference counts, an LRU free list, prefix hits.

vLLM V1's rules, as of 0.32. Freed blocks keep their content and go to the tail of the free list,
a request's last block first; one without content, which no hit can want, goes to the head. A new
block is taken from the head and loses its content; a hit takes its block out of the free list.
Several blocks may hold the same prefix; the oldest is hit.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict

from serving.engine.result import ConservationError


class BlockCache:
    """KV blocks 0..total-1, all free and empty at first."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free: OrderedDict[int, None] = OrderedDict.fromkeys(range(total))
        self.users = [0] * total
        self.content: list[int | None] = [None] * total
        self.holders: defaultdict[int, list[int]] = defaultdict(list)

    def find(self, prefix_id: int) -> int | None:
        """Return the oldest block with that content, if any."""
        held = self.holders.get(prefix_id)
        return held[0] if held else None

    def take(self) -> int:
        """Return an empty block from the head of the free list, for one user."""
        block, _ = self.free.popitem(last=False)
        old = self.content[block]
        if old is not None:
            self.holders[old].remove(block)
            self.content[block] = None
        self.users[block] = 1
        return block

    def share(self, block: int) -> None:
        """Add a user to a block that was hit."""
        if self.users[block] == 0:
            del self.free[block]
        self.users[block] += 1

    def release(self, block: int) -> None:
        """Take a user away; without users the block joins the free list: at the head if empty."""
        self.users[block] -= 1
        if self.users[block] == 0:
            self.free[block] = None
            self.free.move_to_end(block, last=self.content[block] is not None)

    def label(self, block: int, prefix_id: int) -> None:
        """Make a full block hit-able under its prefix."""
        if self.content[block] is None:
            self.content[block] = prefix_id
            self.holders[prefix_id].append(block)

    def check(self, tables: list[list[int]]) -> None:
        """Check used + free = total and users = appearances in the block tables.

        Raises:
            ConservationError: they differ.
        """
        appearances = [0] * self.total
        for block in (b for table in tables for b in table):
            appearances[block] += 1
        if appearances != self.users:
            raise ConservationError("KV blocks: users differ from the block tables")
        if {b for b in range(self.total) if not self.users[b]} != set(self.free):
            raise ConservationError("KV blocks: used + free != total")
