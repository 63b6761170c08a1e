"""Two-dimensional convolution in NHWC, groups 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning.operators.base import Operand, check_extent, check_sizes, take, take_epilogue
from tuning.operators.epilogue import NO_EPILOGUE, Epilogue
from tuning.operators.gemm import epilogue_operands

_FIELDS = (
    *("batch", "height", "width", "in_channels", "out_channels"),
    *("kernel", "stride", "padding", "dilation", "epilogue"),
)
_PAIRS = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
"""Field -> its least value."""


@dataclass(frozen=True)
class Conv2d:
    """Activations NHWC, weights OHWI (out, kernel height, kernel width, in), all float32.

    Attributes:
        batch: images N.
        height: input rows H.
        width: input columns W.
        in_channels: IC.
        out_channels: OC.
        kernel: (KH, KW).
        stride: rows, columns.
        padding: zeros on both sides, rows, columns.
        dilation: rows, columns.
        epilogue: what is done before the output is stored. A bias has OC entries.

    Raises:
        ValueError: a number is out of range, a tensor (such as the padded image) is too large, or
            the output would be empty.
    """

    batch: int
    height: int
    width: int
    in_channels: int
    out_channels: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    epilogue: Epilogue = NO_EPILOGUE

    def __post_init__(self) -> None:
        for name in ("batch", "height", "width", "in_channels", "out_channels"):
            check_extent(name, getattr(self, name))
        for name, least in _PAIRS.items():
            pair = getattr(self, name)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ValueError(f"{name}: is not a pair (rows, columns)")
            for value in pair:
                check_extent(name, value, least)
        if min(self.out_height, self.out_width) < 1:
            raise ValueError(
                f"kernel: {self.kernel} dilated by {self.dilation} is larger than the padded "
                f"image of {self.height} x {self.width}"
            )
        check_sizes((*self.operands(), self.padded_input()))

    def padded_input(self) -> Operand:
        """Return the image with its zeros, which templates and the reference may store."""
        rows, columns = (
            extent + 2 * around
            for extent, around in zip((self.height, self.width), self.padding, strict=True)
        )
        shape = (self.batch, rows, columns, self.in_channels)
        return Operand("x with its padding", shape, "float32", "input")

    def _out(self, extent: int, axis: int) -> int:
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (extent + 2 * self.padding[axis] - reach) // self.stride[axis] + 1

    @property
    def out_height(self) -> int:
        """Output rows OH."""
        return self._out(self.height, 0)

    @property
    def out_width(self) -> int:
        """Output columns OW."""
        return self._out(self.width, 1)

    @property
    def as_gemm(self) -> tuple[int, int, int]:
        """(m, n, k) of the implicit GEMM: N OH OW, OC, KH KW IC."""
        rows = self.batch * self.out_height * self.out_width
        return rows, self.out_channels, self.kernel[0] * self.kernel[1] * self.in_channels

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a plain GEMM over pixels: 1x1, stride 1, no padding."""
        return (self.kernel, self.stride, self.padding) == ((1, 1), (1, 1), (0, 0))

    @property
    def flops(self) -> int:
        """2 N OH OW OC KH KW IC; products with padding are counted."""
        m, n, k = self.as_gemm
        return 2 * m * n * k

    def operands(self) -> tuple[Operand, ...]:
        """Return x, w, bias and residual where there are, d."""
        weight = (self.out_channels, *self.kernel, self.in_channels)
        out = (self.batch, self.out_height, self.out_width, self.out_channels)
        image = (self.batch, self.height, self.width, self.in_channels)
        return (
            Operand("x", image, "float32", "input"),
            Operand("w", weight, "float32", "weight"),
            *epilogue_operands(self.epilogue, out),
        )

    def text(self) -> str:
        """Return such as `conv2d 32x56x56x64-64 3x3 s1 p1 bias+relu`."""

        def one(pair: tuple[int, int]) -> str:
            return f"{pair[0]}" if pair[0] == pair[1] else f"{pair[0]},{pair[1]}"

        image = f"{self.batch}x{self.height}x{self.width}x{self.in_channels}-{self.out_channels}"
        dilated = "" if self.dilation == (1, 1) else f" d{one(self.dilation)}"
        where = f"{self.kernel[0]}x{self.kernel[1]} s{one(self.stride)} p{one(self.padding)}"
        return f"conv2d {image} {where}{dilated} {self.epilogue.text()}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        values = {name: getattr(self, name) for name in _FIELDS[:-1]}
        values |= {name: list(values[name]) for name in _PAIRS}
        return {"kind": "conv2d", **values, "epilogue": self.epilogue.text()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conv2d:
        """Return the operator that `to_dict` described; ValueError names the field."""
        values = take(data, _FIELDS)
        for name in _PAIRS:
            if not isinstance(values[name], list | tuple):
                raise ValueError(f"{name}: is not a pair (rows, columns)")
            values[name] = tuple(values[name])
        values["epilogue"] = take_epilogue(values)
        return cls(**values)
