"""What every operator tells: its operands, its work, and itself as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tuning.operators.epilogue import Epilogue

LARGEST_DIMENSION = 2**31 - 1
LARGEST_TENSOR = 2**40
"""Elements; beyond it the operands of an operator cannot be meant."""

Role = Literal["input", "weight", "bias", "residual", "output"]
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Operand:
    """One tensor of an operator.

    Attributes:
        name: unique within the operator, such as `a`, `b`, `bias`, `b1` (of a pair's second half).
        shape: row-major.
        dtype: `float32`, `float16` or `bfloat16`.
        role: a `weight` is constant, so that it may be packed ahead.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role

    @property
    def size(self) -> int:
        """Number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def nbytes(self) -> int:
        """Bytes."""
        return self.size * BYTES[self.dtype]


class Operator(Protocol):
    """A GEMM, a convolution or a pair of them."""

    @property
    def epilogue(self) -> Epilogue:
        """What is done before the output is stored."""
        ...

    @property
    def flops(self) -> int:
        """Multiplications and additions of the main loops; epilogues are not counted."""
        ...

    def operands(self) -> tuple[Operand, ...]:
        """Return all tensors, in the order in which kernels take them, the output last."""
        ...

    def text(self) -> str:
        """Return a short name, unique among operators, for tables and messages."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `operator_from_dict` makes the same operator."""
        ...


def moved_bytes(operator: Operator) -> int:
    """Return the bytes that must move at least: every operand once."""
    return sum(operand.nbytes for operand in operator.operands())


def check_extent(name: str, value: Any, least: int = 1) -> None:
    """Complain unless `value` is a whole number from `least` to `LARGEST_DIMENSION`.

    Raises:
        ValueError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name}: {str(value)[:40]!r} is not a whole number")
    if not least <= value <= LARGEST_DIMENSION:
        raise ValueError(f"{name}: {value} is not between {least} and {LARGEST_DIMENSION}")


def check_sizes(operands: tuple[Operand, ...]) -> None:
    """Complain about a tensor that no machine holds.

    Raises:
        ValueError: a tensor has more than `LARGEST_TENSOR` elements.
    """
    for operand in operands:
        if operand.size > LARGEST_TENSOR:
            raise ValueError(f"operand {operand.name} of shape {operand.shape} is too large")


def operator_from_dict(data: Mapping[str, Any]) -> Operator:
    """Return the operator that `to_dict` described.

    Raises:
        ValueError: `data` describes none; the message names the field.
    """
    from tuning.operators.conv2d import Conv2d
    from tuning.operators.gemm import Gemm
    from tuning.operators.pair import Pair

    kinds: dict[str, Any] = {"gemm": Gemm, "conv2d": Conv2d, "pair": Pair}
    if not isinstance(data, Mapping) or data.get("kind") not in kinds:
        raise ValueError(f"kind: an operator is one of {', '.join(kinds)}")
    return kinds[data["kind"]].from_dict(data)


def take(data: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of `fields` in `data`, whose keys must be these and `kind`.

    Raises:
        ValueError: a field is missing or unknown.
    """
    if missing := [name for name in fields if name not in data]:
        raise ValueError(f"{missing[0]}: missing")
    if unknown := [name for name in data if name not in (*fields, "kind")]:
        raise ValueError(f"{str(unknown[0])[:40]}: unknown field (known: {', '.join(fields)})")
    return {name: data[name] for name in fields}


def take_epilogue(data: Mapping[str, Any]) -> Epilogue:
    """Return the epilogue written in `data["epilogue"]`.

    Raises:
        ValueError: it is no text, or names no epilogue.
    """
    if not isinstance(data["epilogue"], str):
        raise ValueError("epilogue: is not text")
    return Epilogue.parse(data["epilogue"])
