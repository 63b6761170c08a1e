"""When two products may run in one kernel, and where the first one waits (Bolt section 3.1.1).

*Threadblock residence*: every threadblock computes whole rows of both products, so that what the
second reads was made by the same threadblock. *Register-resident* adds that a warp does so too:
its sums are the second's operand, and no warp waits for another. *Shared-resident* relaxes that:
sums pass through shared memory. Conditions are those of CUTLASS's example 13 ("two tensor op
fusion", README and `can_implement`), and the paper's for convolutions.
"""

from __future__ import annotations

from tuning.operators import Conv2d, Gemm, Pair
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import Problem, problem_of

SAME_ROWS = "same rows"
CHAINED = "first columns are second depth"
POINTWISE = "second convolution is 1x1 without padding or stride"
WHOLE_FIRST = "threadblock holds the first product's columns"
WHOLE_SECOND = "threadblock holds the second product's columns"
WARP_FIRST = "warp holds the first product's columns"
WARP_SECOND = "warp holds the second product's columns"
ALIGNED = "extents are multiples of the alignment"
CONDITIONS = (
    *(SAME_ROWS, CHAINED, POINTWISE, WHOLE_FIRST, WHOLE_SECOND),
    *(WARP_FIRST, WARP_SECOND, ALIGNED),
)


def pair_refusal(first: Gemm | Conv2d, second: Gemm | Conv2d) -> str | None:
    """Return the condition that no kernel can meet for this pair, or None.

    A `Pair` holds these already; this is for products that are not one yet.
    """
    a, b = problem_of(first), problem_of(second)
    if isinstance(second, Conv2d) and not second.is_pointwise:
        return f"{POINTWISE}: kernel {second.kernel}, stride {second.stride}"
    if (a.m, a.batch) != (b.m, b.batch):
        return f"{SAME_ROWS}: {a.m} and {b.m}"
    if a.n != b.k:
        return f"{CHAINED}: {a.n} and {b.k}"
    return None


def refusal(kernel: Kernel, operator: Pair) -> str | None:
    """Return the condition of residence that fails, such as `same rows: 64 and 32`, or None.

    A condition is one of `CONDITIONS`, followed by a colon and the numbers.

    Args:
        kernel: a back-to-back kernel.
        operator: the pair that it is to compute.
    """
    return products_refusal(kernel, operator.first, operator.second)


def products_refusal(kernel: Kernel, first: Gemm | Conv2d, second: Gemm | Conv2d) -> str | None:
    """Return the same of two products that need not fit together."""
    if reason := pair_refusal(first, second):
        return reason
    a, b = problem_of(first), problem_of(second)
    for condition, columns, held in (
        (WHOLE_FIRST, a.n, kernel.tile[1]),
        (WHOLE_SECOND, b.n, kernel.tile1[1]),
    ):
        if columns > held:
            return f"{condition}: {columns} of {held}"
    if kernel.residence == "register":
        for condition, warp, tile in (
            (WARP_FIRST, kernel.warp[1], kernel.tile[1]),
            (WARP_SECOND, kernel.warp1[1], kernel.tile1[1]),
        ):
            if warp != tile:
                return f"{condition}: {warp} of {tile}"
    return _alignment(kernel, a) or _alignment(kernel, b)


def _alignment(kernel: Kernel, half: Problem) -> str | None:
    """Check one half; rows count for GEMMs only, as CUTLASS's `can_implement` has it."""
    wanted = [("depth", half.run_a, kernel.align_a), ("columns", half.n, kernel.align_b)]
    wanted.append(("columns", half.n, kernel.align_c))
    if kernel.family == "b2b_gemm":
        wanted.append(("rows", half.m, max(kernel.align_a, kernel.align_c)))
    for name, extent, align in wanted:
        if extent % align:
            return f"{ALIGNED}: {name} {extent} by {align}"
    return None
