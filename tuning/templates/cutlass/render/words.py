"""The library's names for what a kernel's fields say, and the functions that every unit exports."""

from __future__ import annotations

from dataclasses import dataclass

from tuning.operators import Epilogue
from tuning.templates.cutlass.architecture import Shape
from tuning.templates.cutlass.params import Kernel

ELEMENTS = {
    "float16": "cutlass::half_t",
    "bfloat16": "cutlass::bfloat16_t",
    "float32": "float",
    "int8": "int8_t",
    "int32": "int32_t",
}
COMPUTE = "float"
"""Epilogues compute in it, whatever the products are added up in."""


@dataclass(frozen=True)
class Body:
    """A kernel's own part of a unit.

    Attributes:
        includes: headers of the library, as they are written after `#include`.
        helpers: names of files in `source/`, each needed once in a unit, in this order.
        types: `using` declarations, the last of which names the device-level operator.
        operator: the name of that.
        arguments: C++ statements that return `OPERATOR::Arguments`, made from `tensors` (pointers
            in the operator's order), `sizes` and `alpha`.
        threads: C++ expression, threads of a threadblock.
        shared_bytes: C++ expression, bytes of shared memory of a threadblock.
    """

    includes: tuple[str, ...]
    helpers: tuple[str, ...]
    types: str
    operator: str
    arguments: str
    threads: str
    shared_bytes: str


def shape(value: Shape) -> str:
    """Return a `GemmShape`."""
    return f"cutlass::gemm::GemmShape<{', '.join(map(str, value))}>"


def arch_tag(kernel: Kernel) -> str:
    """Return the tag of the oldest architecture that has the kernel's instructions.

    Kernels are written for it and compiled for `kernel.arch`, as the library does. Turing's
    instructions with more than two stages are Ampere's: the copies are asynchronous.
    """
    if kernel.architecture.api == "3.x":
        return "cutlass::arch::Sm90"
    ampere = kernel.stages > 2 or kernel.instruction == kernel.architecture.own[kernel.element]
    old = kernel.arch == "sm_75" or not ampere
    return f"cutlass::arch::Sm{75 if old else 80}"


def math_operator(kernel: Kernel) -> str:
    """Return the operation of the tensor cores; integer sums stop at the type's ends."""
    saturates = kernel.element == "int8"
    return f"cutlass::arch::OpMultiplyAdd{'Saturate' if saturates else ''}"


def swizzle(kernel: Kernel) -> str:
    """Return the order in which threadblocks walk over the output."""
    return f"cutlass::gemm::threadblock::GemmIdentityThreadblockSwizzle<{kernel.swizzle}>"


def template(name: str, arguments: list[str]) -> str:
    """Return `name<...>`, one argument a line."""
    return f"{name}<\n    " + ",\n    ".join(arguments) + ">"


def bias_element(kernel: Kernel) -> str:
    """Return the type that a bias is stored in: the output's, float32 beside integers."""
    return "float32" if kernel.element == "int8" else kernel.output


FIRST_BIAS = "float32"
"""The same for the first of two products, where it is added before anything is rounded."""


def names(listed: tuple[str, ...], used: tuple[str, ...] | None = None) -> str:
    """Return declarations of the numbers in `sizes`, those in `used` or all."""
    return "\n".join(
        f"int {name} = int(sizes[{place}]);"
        for place, name in enumerate(listed)
        if used is None or name in used
    )


def operands(epilogue: Epilogue, first: int = 2) -> tuple[str, str, str]:
    """Return C++ for bias, residual and D, from `tensors[first]` on; `nullptr` for what is not."""
    bias = residual = "nullptr"
    place = first
    if epilogue.has_bias:
        bias, place = f"tensors[{place}]", place + 1
    if epilogue.has_residual:
        residual, place = f"tensors[{place}]", place + 1
    return bias, residual, f"tensors[{place}]"
