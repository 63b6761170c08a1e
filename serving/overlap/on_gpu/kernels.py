"""The two kernels that are timed: a layer's GEMMs, and decode attention over a large KV cache."""

from __future__ import annotations

from typing import Any

from .grid import Point
from .shapes import MODELS, VALUE_BYTES

PASSED_BYTES = 1 << 28
"""Weights that pass before a set of them returns: more than any L2 cache holds."""


def attend(torch: Any, query: Any, key: Any, value: Any) -> Any:
    """Return decode attention: [b, kv heads, group, d] over [b, kv heads, context, d].

    The query heads that share a KV head stand where a prompt's tokens would, so that each K and V
    is read once.
    """
    return torch.nn.functional.scaled_dot_product_attention(query, key, value)


class Layer:
    """Operands of one point's kernels, rotating through sets of weights and an arena of KV.

    Args:
        torch: the module.
        point: sizes.
        arena: one-dimensional, random; at least `point.read_bytes` long.
        device: "cuda" or "cpu".
        dtype: of all operands.
    """

    def __init__(self, torch: Any, point: Point, arena: Any, device: str, dtype: Any) -> None:
        self.torch, self.point, self.model = torch, point, MODELS[point.model]
        generator = torch.Generator(device).manual_seed(1)

        def normal(*shape: int) -> Any:
            made = torch.randn(*shape, generator=generator, device=device, dtype=dtype)
            return made / shape[-1] ** 0.5

        gemms = self.model.gemms()
        weight_bytes = VALUE_BYTES * sum(a * b for a, b in gemms)
        sets = min(8, 1 + max(1, -(-PASSED_BYTES // weight_bytes)))
        self.weights = [[normal(a, b) for a, b in gemms] for _ in range(sets)]
        self.inputs = [normal(point.tokens, a) for a, _ in gemms]
        self.outputs = [torch.empty(point.tokens, b, device=device, dtype=dtype) for _, b in gemms]
        self.query = normal(point.decodes, self.model.kv_heads, self.model.group, self.model.head)
        self.arena, self.at, self.turn = arena, 0, 0

    def gemms(self) -> None:
        """Queue the GEMMs of one layer on the current stream."""
        weights = self.weights[self.turn % len(self.weights)]
        self.turn += 1
        for into, left, right in zip(self.outputs, self.inputs, weights, strict=True):
            self.torch.mm(left, right, out=into)

    def attention(self) -> Any:
        """Queue decode attention of one layer on the current stream; return its result."""
        return attend(self.torch, self.query, self.next_kv(), self.next_kv())

    def next_kv(self) -> Any:
        """Return the next piece of the arena as K or V of the point."""
        p, m = self.point, self.model
        size = p.decodes * p.context * m.kv_heads * m.head
        if self.at + size > self.arena.numel():
            self.at = 0
        part = self.arena[self.at : self.at + size]
        self.at += size
        return part.view(p.decodes, m.kv_heads, p.context, m.head)


def check_kernels(torch: Any, device: str, dtype: Any) -> float:
    """Return the largest error of both kernels against float64, relative to the largest value.

    Raises:
        RuntimeError: it exceeds what rounding explains: times of wrong results mean nothing.
    """
    point = Point("tiny", 24, 3, 80)
    arena = torch.randn(1 << 16, generator=torch.Generator().manual_seed(2)).to(device, dtype)
    layer, worst = Layer(torch, point, arena, device, dtype), 0.0
    layer.gemms()
    for into, left, right in zip(layer.outputs, layer.inputs, layer.weights[0], strict=True):
        worst = max(worst, _apart(into, left.double() @ right.double()))
    found = layer.attention()
    layer.at = 0
    key, value = layer.next_kv().double(), layer.next_kv().double()
    scores = layer.query.double() @ key.transpose(-1, -2) / layer.model.head**0.5
    worst = max(worst, _apart(found, scores.softmax(-1) @ value))
    bound = 1e-4 if dtype == torch.float32 else 3e-2
    if not worst < bound:
        raise RuntimeError(f"kernels are off by {worst:.2g} of the largest value, not < {bound}")
    return worst


def _apart(found: Any, true: Any) -> float:
    return float((found.double() - true).abs().max() / true.abs().max())
