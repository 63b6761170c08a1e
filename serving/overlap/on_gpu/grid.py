"""The points at which overlap is measured: how much compute beside how much reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .shapes import MODELS

TOKENS = (128, 256, 512, 1024, 1536, 2048, 4096)
CONTEXTS = (1024, 4096)
RATIOS = (0.125, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0, 8.0)
# Part of a device's name -> flop per byte at which its data sheet says that GEMMs take as long as
# reading; it only places the points, so that a wrong guess moves the grid and no result.
BALANCE = {"A100": 153, "H200": 206, "H100": 295, "L40": 210, "L4": 403, "4090": 164, "B200": 281}
USUAL_BALANCE = 200


@dataclass(frozen=True)
class Point:
    """What is measured once: tokens in the GEMMs; requests that decode, KV tokens of each."""

    model: str
    tokens: int
    decodes: int
    context: int

    @property
    def flop(self) -> int:
        """Operations of the layer's GEMMs."""
        return sum(2 * self.tokens * a * b for a, b in MODELS[self.model].gemms())

    @property
    def read_bytes(self) -> int:
        """Bytes of KV cache that the layer's decode attention reads."""
        return self.decodes * self.context * MODELS[self.model].kv_bytes


def balance_of(device: str) -> float:
    """Return the flop per byte by which points are placed for a device of that name."""
    return next((flop for part, flop in BALANCE.items() if part in device), USUAL_BALANCE)


def grid(
    models: Iterable[str],
    balance: float,
    tokens: Iterable[int] = TOKENS,
    contexts: Iterable[int] = CONTEXTS,
    most_bytes: float = float("inf"),
) -> list[Point]:
    """Return the points: T_mem from an eighth to eight times T_comp if both ran at peak.

    Points that read more than `most_bytes` a layer are left out; equal ones appear once.
    """
    points = [
        Point(name, count, max(1, round(ratio * flop / balance / (context * kv_bytes))), context)
        for name in models
        for count in tokens
        for flop, kv_bytes in [(Point(name, count, 1, 1).flop, MODELS[name].kv_bytes)]
        for context in contexts
        for ratio in RATIOS
    ]
    return [p for p in dict.fromkeys(points) if p.read_bytes <= most_bytes]
