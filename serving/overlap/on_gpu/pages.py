"""Which page of the KV arena holds which block: shared prefixes once, others by themselves.

Pages that no running request uses keep their content until room is wanted, the longest unused
first. A schedule says what was found in the cache; where pages are so few that such a block is no
longer there, a page is given all the same, with other content: times do not change, values do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from .schedule import Request, Schedule, Step

Key = tuple[int, int]
"""(-1, identity) of a shared block, (request, place) of one's own."""


class Pages:
    """Pages of one run; `stale` counts blocks that should have been in the cache and were not.

    Args:
        schedule: the run.
        total: pages; at least the schedule's KV blocks.

    Raises:
        ValueError: there are fewer.
    """

    def __init__(self, schedule: Schedule, total: int) -> None:
        if total < schedule.kv_blocks:
            raise ValueError(f"{total} pages are fewer than the schedule's {schedule.kv_blocks}")
        self.requests, self.size = schedule.requests, schedule.block_tokens
        self.page_of: dict[Key, int] = {}
        self.users: dict[Key, int] = {}
        self.unused: OrderedDict[Key, None] = OrderedDict()
        self.free = list(range(total - 1, -1, -1))
        self.tables: dict[int, list[int]] = {}
        self.stale = 0

    def begin(self, step: Step) -> None:
        """Let go and give pages, so that `tables` holds those of every request of the step."""
        self._let_go(step.left)
        for request, tokens, before in step.prefill:
            self._extend(request, before, before + tokens)
        for request, context in step.decode:
            self._extend(request, context - 1, context)

    def _key(self, index: int, request: Request, place: int) -> Key:
        shared = place < len(request.blocks)
        return (-1, request.blocks[place]) if shared else (index, place)

    def _let_go(self, requests: Iterable[int]) -> None:
        """Free pages; the end of a request first, so that beginnings stay longer."""
        for index in requests:
            places = len(self.tables.pop(index, ()))
            for place in reversed(range(places)):
                key = self._key(index, self.requests[index], place)
                self.users[key] -= 1
                if not self.users[key]:
                    del self.users[key]
                    self.unused[key] = None

    def _extend(self, index: int, before: int, tokens: int) -> None:
        table = self.tables.setdefault(index, [])
        for place in range(len(table), -(-tokens // self.size)):
            key = self._key(index, self.requests[index], place)
            if key not in self.page_of:
                self.stale += (place + 1) * self.size <= before
                self.page_of[key] = self._take()
            self.unused.pop(key, None)
            self.users[key] = self.users.get(key, 0) + 1
            table.append(self.page_of[key])

    def _take(self) -> int:
        if self.free:
            return self.free.pop()
        if not self.unused:
            raise ValueError("the schedule holds more KV blocks at once than it says")
        oldest, _ = self.unused.popitem(last=False)
        return self.page_of.pop(oldest)
