"""What the templates need to know of an NVIDIA architecture.

Instruction shapes are those of the `mma.sync` (2.x) and `wgmma` (3.x) instructions that CUTLASS
wraps; limits of shared memory are of the CUDA C++ Programming Guide, "Technical Specifications per
Compute Capability", and include no kilobyte that the runtime keeps for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, int, int]
"""Rows, columns and depth."""

ELEMENT_BITS = {"float16": 16, "bfloat16": 16, "int8": 8, "float32": 32, "int32": 32}
WARP_THREADS = 32
LEAST_COPY_BYTES = 4
"""The smallest asynchronous copy from global to shared memory (`cp.async`), which kernels of three
stages and more are built on."""
WIDEST_ACCESS_BYTES = 16


@dataclass(frozen=True)
class Architecture:
    """One target of nvcc.

    Attributes:
        name: such as `sm_80`; `sm_90a` has the instructions that only Hopper has.
        block_shared_bytes: shared memory that one threadblock may ask for.
        own: input element -> its largest instruction.
        older: input element -> the instruction of kernels written for `sm_75`, which run here too.
        has_async_copy: whether there is `cp.async`, and so kernels of more than two stages.
        api: `2.x`, or `3.x` where kernels come from the collective builder.
    """

    name: str
    block_shared_bytes: int
    own: dict[str, Shape]
    older: dict[str, Shape]
    has_async_copy: bool
    api: str

    def instructions(self, element: str) -> tuple[Shape, ...]:
        """Return the instructions that multiply `element`, the largest first."""
        found = (self.own.get(element), self.older.get(element))
        return tuple(dict.fromkeys(shape for shape in found if shape is not None))


_TURING: dict[str, Shape] = {"float16": (16, 8, 8), "int8": (8, 8, 16)}
_AMPERE: dict[str, Shape] = {
    "float16": (16, 8, 16),
    "bfloat16": (16, 8, 16),
    "int8": (16, 8, 32),
}
_WGMMA: dict[str, Shape] = {
    "float16": (64, 8, 16),
    "bfloat16": (64, 8, 16),
    "int8": (64, 8, 32),
}
"""Columns are a multiple of 8 up to 256: the collective builder takes the tile's."""

KIB = 1024
ARCHITECTURES = {
    found.name: found
    for found in (
        Architecture("sm_75", 64 * KIB, _TURING, {}, False, "2.x"),
        Architecture("sm_80", 163 * KIB, _AMPERE, _TURING, True, "2.x"),
        Architecture("sm_86", 99 * KIB, _AMPERE, _TURING, True, "2.x"),
        Architecture("sm_89", 99 * KIB, _AMPERE, _TURING, True, "2.x"),
        Architecture("sm_90", 227 * KIB, _AMPERE, _TURING, True, "2.x"),
        Architecture("sm_90a", 227 * KIB, _WGMMA, {}, True, "3.x"),
    )
}


def architecture(name: str) -> Architecture:
    """Return the architecture called `name`.

    Raises:
        ValueError: there are no templates for it.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"arch: {name[:40]!r} is none of {known}")
    return ARCHITECTURES[name]
