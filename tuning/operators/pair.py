"""Back-to-back operators: the second takes the first's output (Bolt section 3.1, persistent)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning.operators.base import Operand, take
from tuning.operators.conv2d import Conv2d
from tuning.operators.epilogue import Epilogue
from tuning.operators.gemm import Gemm

_FIELDS = ("first", "second")


# paper: bolt b2b fusion
@dataclass(frozen=True)
class Pair:
    """GEMM + GEMM with the same rows, or Conv2d + 1x1 Conv2d (stride 1, no padding).

    Attributes:
        first: its output stays float32 and is needed by nobody else.
        second: takes it as its input.

    Raises:
        ValueError: the two do not fit together, or fusing them is not possible.
    """

    first: Gemm | Conv2d
    second: Gemm | Conv2d

    def __post_init__(self) -> None:
        first, second = self.first, self.second
        if isinstance(first, Gemm) and isinstance(second, Gemm):
            fits = (second.m, second.k, second.batch) == (first.m, first.n, first.batch)
            if not (first.constant_b and second.constant_b):
                raise ValueError("second: back-to-back GEMMs need constant weights")
        elif isinstance(first, Conv2d) and isinstance(second, Conv2d):
            made = (first.batch, first.out_height, first.out_width, first.out_channels)
            fits = made == (second.batch, second.height, second.width, second.in_channels)
            if not second.is_pointwise:
                raise ValueError("second: must be 1x1 with stride 1 and without padding")
        else:
            raise ValueError("second: must be of the kind of the first")
        if not fits:
            raise ValueError("second: its input is not the output of the first")
        if first.epilogue.out_dtype != "float32":
            raise ValueError("first: its output must stay float32")

    @property
    def epilogue(self) -> Epilogue:
        """The epilogue of the second, which stores the output."""
        return self.second.epilogue

    @property
    def flops(self) -> int:
        """The sum of both."""
        return self.first.flops + self.second.flops

    def operands(self) -> tuple[Operand, ...]:
        """Return the first's without its output, then the second's own; names of these end in 1."""
        own = [
            Operand(o.name if o.role == "output" else f"{o.name}1", o.shape, o.dtype, o.role)
            for o in self.second.operands()[1:]
        ]
        return (*self.first.operands()[:-1], *own)

    def text(self) -> str:
        """Return both texts, joined by ` -> `."""
        return f"{self.first.text()} -> {self.second.text()}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "kind": "pair",
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Pair:
        """Return the operator that `to_dict` described; ValueError names the field."""
        values = take(data, _FIELDS)
        made = []
        for name in _FIELDS:
            half = values[name]
            kinds: dict[str, Any] = {"gemm": Gemm, "conv2d": Conv2d}
            if not isinstance(half, Mapping) or half.get("kind") not in kinds:
                raise ValueError(f"{name}: is neither a gemm nor a conv2d")
            made.append(kinds[half["kind"]].from_dict(half))
        return cls(*made)
