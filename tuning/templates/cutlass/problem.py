"""An operator as the GPU's templates meet it: extents of the implicit GEMM, and what is contiguous.

Operators say float32; on a GPU their tensors hold the types of a `Precision`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.templates.cutlass.architecture import ELEMENT_BITS, WIDEST_ACCESS_BYTES
from tuning.templates.cutlass.params import Family, Layout


@dataclass(frozen=True)
class Precision:
    """Types of a product.

    Attributes:
        element: of A and B.
        accumulate: of the sums.
        output: of C and D.
    """

    element: str = "float16"
    accumulate: str = "float32"
    output: str = "float16"


HALF = Precision()


@dataclass(frozen=True)
class Problem:
    """One product.

    Attributes:
        family: the template that computes it.
        layout: of its operands.
        m: rows.
        n: columns.
        k: depth.
        batch: products with operands of their own.
        run_a: elements that lie side by side in A.
        run_b: in B.
        run_c: in C and D.
    """

    family: Family
    layout: Layout
    m: int
    n: int
    k: int
    batch: int
    run_a: int
    run_b: int
    run_c: int


def problem_of(product: Gemm | Conv2d) -> Problem:
    """Return a single product; a GEMM with one B for its whole batch has all rows in one."""
    if isinstance(product, Conv2d):
        m, n, k = product.as_gemm
        channels = product.in_channels
        return Problem("conv2d", "tn", m, n, k, 1, channels, channels, n)
    m, n, k = product.m, product.n, product.k
    if product.constant_b:
        return Problem("gemm", "tn", product.batch * m, n, k, 1, k, k, n)
    family: Family = "gemm" if product.batch == 1 else "batched"
    return Problem(family, "tt", m, n, k, product.batch, k, n, n)


def halves(operator: Operator) -> tuple[Gemm | Conv2d, ...]:
    """Return both products of a pair, or the one there is.

    Raises:
        TypeError: it is no operator that has a template.
    """
    if isinstance(operator, Pair):
        return operator.first, operator.second
    if isinstance(operator, Gemm | Conv2d):
        return (operator,)
    raise TypeError(f"no template for {type(operator).__name__}")


def family_of(operator: Operator) -> Family:
    """Return the template that computes `operator`."""
    first = halves(operator)[0]
    if isinstance(operator, Pair):
        return "b2b_conv" if isinstance(first, Conv2d) else "b2b_gemm"
    return problem_of(first).family


def widest(element: str, run: int) -> int:
    """Return the most elements that one access of 16 bytes takes and that divide `run`."""
    found = WIDEST_ACCESS_BYTES * 8 // ELEMENT_BITS[element]
    while run % found:
        found //= 2
    return found


def steps_of(product: Gemm | Conv2d) -> str:
    """Return the epilogue's steps as a kernel names them."""
    return "+".join(product.epilogue.steps) or "none"
