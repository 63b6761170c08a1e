"""A step's work as tensors, whole or as two nano-batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .pages import Pages
from .schedule import Request, Step

Chunk = tuple[int, int, int]
SHARED_WORDS, OWN_WORDS = 1_000_003, 7_919


def token(request: Request, index: int, place: int, size: int, vocabulary: int) -> int:
    """Return the id of a request's token: of its block's identity, or of its own.

    Outputs are given, not sampled: whatever the order, every run computes the same numbers.
    """
    block = place // size
    if block < len(request.blocks):
        return (request.blocks[block] * SHARED_WORDS + 31 * (place % size) + 1) % vocabulary
    return (index * OWN_WORDS + 17 * place + 5) % vocabulary


def halves(step: Step) -> list[tuple[list[Chunk], list[tuple[int, int]]]]:
    """Return two nano-batches of a step; one where it has a single token.

    Decodes are dealt out by length, so that both read about as much KV. Chunks keep their order,
    and one may be cut in two: so what a chunk finds in blocks that the same step fills lies in its
    own nano-batch or in the one before. Both get about as many tokens.
    """
    decodes: tuple[list[tuple[int, int]], ...] = ([], [])
    for place, decode in enumerate(sorted(step.decode, key=lambda d: -d[1])):
        decodes[(place + 1) // 2 % 2].append(decode)
    left = max(0, (step.tokens + 1) // 2 - len(decodes[0]))
    chunks: tuple[list[Chunk], list[Chunk]] = ([], [])
    for request, tokens, before in step.prefill:
        first = min(left, tokens)
        left -= first
        if first:
            chunks[0].append((request, first, before))
        if first < tokens:
            chunks[1].append((request, tokens - first, before + first))
    return [(c, d) for c, d in zip(chunks, decodes, strict=True) if c or d]


@dataclass
class Part:
    """Tensors of a batch or nano-batch; rows are the chunks' tokens, then one per decode.

    Attributes:
        ids: int64[rows], token ids.
        positions: int64[rows].
        slots: int64[rows], page x block size + place in it, where K and V of the row go.
        chunks: (first row, rows, tokens before, int64[...] pages).
        decodes: first row of the decodes.
        tables: int32[decodes, most pages], pages of each decode.
        lengths: int32[decodes], its context.
        longest: the longest of them, 0 without decodes.
        sampled: int64[...], rows whose logits are wanted: (request, tokens then known) in `whose`.
        whose: see above.
    """

    ids: Any
    positions: Any
    slots: Any
    chunks: list[tuple[int, int, int, Any]]
    decodes: int
    tables: Any
    lengths: Any
    longest: int
    sampled: Any
    whose: list[tuple[int, int]]


class PartMaker:
    """Makes parts of steps whose pages are given.

    Args:
        torch: the module.
        pages: of the run.
        vocabulary: token ids.
        device: where the tensors go.
    """

    def __init__(self, torch: Any, pages: Pages, vocabulary: int, device: str) -> None:
        self.torch, self.pages, self.vocabulary, self.device = torch, pages, vocabulary, device

    def _tensor(self, values: list[Any], dtype: Any) -> Any:
        made = self.torch.tensor(values, dtype=dtype)
        if self.device == "cpu" or not made.numel():
            return made.to(self.device)
        return made.pin_memory().to(self.device, non_blocking=True)

    def make(self, chunks: list[Chunk], decodes: list[tuple[int, int]]) -> Part:
        """Return the tensors of these chunks and decodes."""
        torch, size = self.torch, self.pages.size
        where: list[tuple[int, int]] = []  # request and place of each row
        ranges, sampled = [], []
        for request, tokens, before in chunks:
            table = self.pages.tables[request][: -(-(before + tokens) // size)]
            ranges.append((len(where), tokens, before, self._tensor(table, torch.int64)))
            where += [(request, place) for place in range(before, before + tokens)]
            if before + tokens >= self.pages.requests[request].prompt:
                sampled.append(len(where) - 1)
        first = len(where)
        where += [(request, context - 1) for request, context in decodes]
        sampled += range(first, len(where))
        longest = max((context for _, context in decodes), default=0)
        width = -(-longest // size)
        tables = [(self.pages.tables[r] + [0] * width)[:width] for r, _ in decodes]
        slots = [self.pages.tables[r][place // size] * size + place % size for r, place in where]
        words = (size, self.vocabulary)
        ids = [token(self.pages.requests[r], r, place, *words) for r, place in where]
        return Part(
            self._tensor(ids, torch.int64),
            self._tensor([place for _, place in where], torch.int64),
            self._tensor(slots, torch.int64),
            ranges,
            first,
            self._tensor(tables, torch.int32),
            self._tensor([context for _, context in decodes], torch.int32),
            longest,
            self._tensor(sampled, torch.int64),
            [(where[row][0], where[row][1] + 1) for row in sampled],
        )
