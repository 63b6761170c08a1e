"""D = epilogue(A B), batched or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning.operators.base import Operand, check_extent, check_sizes, take, take_epilogue
from tuning.operators.epilogue import NO_EPILOGUE, Epilogue

_FIELDS = ("batch", "m", "n", "k", "constant_b", "epilogue")


@dataclass(frozen=True)
class Gemm:
    """`batch` products of A (m x k) and B (k x n), row-major float32.

    Attributes:
        m: rows of A and D.
        n: columns of B and D.
        k: columns of A, rows of B.
        batch: number of products; with a constant B all of them share one B and one bias.
        constant_b: whether B is a weight, known before and so packed ahead, as the layers of a
            network have it; else B[batch] is an input, and packing it counts.
        epilogue: what is done before D is stored. A bias has n entries.

    Raises:
        ValueError: a dimension is no whole number >= 1, or a tensor is too large.
    """

    m: int
    n: int
    k: int
    batch: int = 1
    constant_b: bool = True
    epilogue: Epilogue = NO_EPILOGUE

    def __post_init__(self) -> None:
        for name in ("m", "n", "k", "batch"):
            check_extent(name, getattr(self, name))
        if not isinstance(self.constant_b, bool):
            raise ValueError("constant_b: is neither true nor false")
        check_sizes(self.operands())

    @property
    def flops(self) -> int:
        """2 batch m n k."""
        return 2 * self.batch * self.m * self.n * self.k

    def operands(self) -> tuple[Operand, ...]:
        """Return a, b, bias and residual where there are, d."""
        lead = (self.batch,) if self.batch > 1 else ()
        b_lead = () if self.constant_b else lead
        found = [
            Operand("a", (*lead, self.m, self.k), "float32", "input"),
            Operand(
                "b", (*b_lead, self.k, self.n), "float32", "weight" if self.constant_b else "input"
            ),
        ]
        found += epilogue_operands(self.epilogue, (*lead, self.m, self.n))
        return tuple(found)

    def text(self) -> str:
        """Return such as `gemm 1280x3072x768 bias+relu` (m x n x k)."""
        batch = f"{self.batch}x " if self.batch > 1 else ""
        given = "" if self.constant_b else " given-b"
        return f"{batch}gemm {self.m}x{self.n}x{self.k}{given} {self.epilogue.text()}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        values = {name: getattr(self, name) for name in _FIELDS[:-1]}
        return {"kind": "gemm", **values, "epilogue": self.epilogue.text()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gemm:
        """Return the operator that `to_dict` described; ValueError names the field."""
        values = take(data, _FIELDS)
        values["epilogue"] = take_epilogue(values)
        return cls(**values)


def epilogue_operands(epilogue: Epilogue, shape: tuple[int, ...], tail: str = "") -> list[Operand]:
    """Return bias and residual where there are and the output, of `shape`, channels last."""
    found = []
    if epilogue.has_bias:
        found.append(Operand(f"bias{tail}", (shape[-1],), "float32", "bias"))
    if epilogue.has_residual:
        found.append(Operand(f"residual{tail}", shape, "float32", "residual"))
    return [*found, Operand("d", shape, epilogue.out_dtype, "output")]
