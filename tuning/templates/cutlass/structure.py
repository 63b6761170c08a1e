"""Whether a kernel's tiles, stages and accesses fit together, and into a threadblock.

These are the static assertions of CUTLASS's headers and the limits of the architecture, said before
a compiler is started. Conditions on the problem's extents are elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuning.templates.cutlass.architecture import (
    ELEMENT_BITS,
    LEAST_COPY_BYTES,
    WIDEST_ACCESS_BYTES,
    Architecture,
    Shape,
)

if TYPE_CHECKING:
    from tuning.templates.cutlass.params import Kernel

MOST_WARPS = 16
"""Of a threadblock; 32 is the hardware's limit, which leaves each thread too few registers."""
MOST_ACCUMULATORS = 160
"""Of a thread's 255 registers; what is left holds fragments, pointers and the epilogue."""
MOST_STAGES = 12


def is_simple(epilogue: str, with_residual: bool = True) -> bool:
    """Say whether it is what CUTLASS's linear combinations do.

    That is a bias or, `with_residual`, a residual first, where there is either, and then at most
    one activation.
    """
    steps = [] if epilogue == "none" else epilogue.split("+")
    first = ("bias", "residual") if with_residual else ("bias",)
    rest = steps[1:] if steps and steps[0] in first else steps
    return len(rest) <= 1 and not {"bias", "residual"} & set(rest)


def check_single(kernel: Kernel, arch: Architecture) -> None:
    """Complain about a kernel that does not compile, or whose tile does not fit; ValueError."""
    instructions = arch.instructions(kernel.element)
    if not instructions:
        raise ValueError(f"element: {arch.name} multiplies no {kernel.element}")
    if kernel.instruction not in instructions:
        raise ValueError(f"instruction: {kernel.instruction} is none of {instructions}")
    _check_tiles("", kernel.tile, kernel.warp, kernel.instruction)
    if not 1 <= kernel.warps <= MOST_WARPS:
        raise ValueError(f"warp: {kernel.warps} warps in a threadblock; 1 to {MOST_WARPS}")
    _check_stages(kernel, arch)
    _check_access(kernel)
    if kernel.family.endswith(("conv2d", "conv")) and kernel.layout != "tn":
        raise ValueError("layout: a convolution's is 'tn' (NHWC, OHWI)")
    if kernel.element == "int8" and kernel.layout != "tn":
        raise ValueError("layout: 8-bit products are 'tn': their instructions read the depth")
    if kernel.split_k > 1 and (kernel.family != "gemm" or arch.api == "3.x"):
        raise ValueError("split_k: only GEMMs of the 2.x templates are split")
    if kernel.split_k > 1 and (kernel.element == "int8" or not is_simple(kernel.epilogue)):
        raise ValueError("split_k: parts are added up by simple epilogues of floats only")
    if arch.api == "3.x":
        _check_builder(kernel)
    elif kernel.schedule or kernel.cluster != (1, 1, 1):
        raise ValueError(f"schedule: {arch.name} has neither schedules nor clusters")
    if kernel.shared_bytes > arch.block_shared_bytes:
        raise ValueError(
            f"stages: {kernel.shared_bytes} bytes of shared memory, {arch.name} has "
            f"{arch.block_shared_bytes}"
        )
    if kernel.accumulators > MOST_ACCUMULATORS:
        raise ValueError(
            f"warp: {kernel.accumulators} of a thread's registers for sums, above "
            f"{MOST_ACCUMULATORS}"
        )


def _check_tiles(which: str, tile: Shape, warp: Shape, instruction: Shape) -> None:
    for axis in range(3):
        if warp[axis] < 1 or tile[axis] % warp[axis]:
            raise ValueError(f"warp{which}: {warp} does not divide the tile {tile}")
        if warp[axis] % instruction[axis]:
            raise ValueError(f"warp{which}: {warp} is no multiple of {instruction}")


def _check_stages(kernel: Kernel, arch: Architecture) -> None:
    if arch.api == "3.x":
        if kernel.stages and not 2 <= kernel.stages <= MOST_STAGES:
            raise ValueError(f"stages: {kernel.stages}; 0 (automatic) or 2 to {MOST_STAGES}")
        return
    if not 2 <= kernel.stages <= MOST_STAGES:
        raise ValueError(f"stages: {kernel.stages}; 2 to {MOST_STAGES}")
    if kernel.stages > 2 and not arch.has_async_copy:
        raise ValueError(f"stages: {arch.name} has no asynchronous copies: 2")
    if kernel.stages > 2 and kernel.warp[2] // kernel.instruction[2] < 2:
        raise ValueError("warp: more than two stages need two instructions along the depth")


def _check_access(kernel: Kernel) -> None:
    for name, element in (
        ("align_a", kernel.element),
        ("align_b", kernel.element),
        ("align_c", kernel.output),
    ):
        value = getattr(kernel, name)
        width = value * ELEMENT_BITS[element] // 8
        if value < 1 or value & (value - 1) or width > WIDEST_ACCESS_BYTES:
            raise ValueError(f"{name}: {value} {element} are no access of 1 to 16 bytes")
        if name != "align_c" and kernel.stages > 2 and width < LEAST_COPY_BYTES:
            raise ValueError(f"{name}: asynchronous copies take {LEAST_COPY_BYTES} bytes or more")


def _check_builder(kernel: Kernel) -> None:
    """Check what the collective builder of Hopper asks for: TMA reads 16 bytes at least."""
    if kernel.family not in ("gemm", "batched"):
        raise ValueError(f"family: no {kernel.family} among the 3.x templates; take sm_90")
    if not kernel.schedule:
        raise ValueError("schedule: a 3.x kernel has one")
    for name, element in (
        ("align_a", kernel.element),
        ("align_b", kernel.element),
        ("align_c", kernel.output),
    ):
        if getattr(kernel, name) * ELEMENT_BITS[element] // 8 != WIDEST_ACCESS_BYTES:
            raise ValueError(f"{name}: TMA moves 16 bytes at least")
    rows, columns, depth = kernel.cluster
    if depth != 1 or min(rows, columns) < 1 or rows * columns > 8:
        raise ValueError(f"cluster: {kernel.cluster} is no cluster of 1 to 8 threadblocks")
    if kernel.schedule == "cooperative" and kernel.tile[0] % 128:
        raise ValueError("schedule: two cooperating warp groups share tiles of 128 rows or more")


def check_pair(kernel: Kernel, arch: Architecture) -> None:
    """Complain about what only back-to-back kernels have; ValueError."""
    given = kernel.residence != "none", any(kernel.tile1), any(kernel.warp1)
    if not kernel.is_pair:
        if any(given) or kernel.epilogue0 != "none":
            raise ValueError(f"residence: {kernel.family} is no back-to-back kernel")
        return
    if not all(given):
        raise ValueError("residence: a back-to-back kernel has one, and tile1 and warp1")
    _check_tiles("1", kernel.tile1, kernel.warp1, kernel.instruction)
    if kernel.tile[0] != kernel.tile1[0]:
        raise ValueError(f"tile1: {kernel.tile1[0]} rows, the first tile has {kernel.tile[0]}")
    warps = [t // w for t, w in zip(kernel.tile1, kernel.warp1, strict=True)]
    if warps[0] * warps[1] * warps[2] != kernel.warps:
        raise ValueError("warp1: as many warps as for the first product")
    if kernel.residence == "register":
        _check_register_resident(kernel)
    if kernel.tile[1] % kernel.warp1[2]:
        raise ValueError("warp1: its depth does not divide the columns of the first tile")
    widest = WIDEST_ACCESS_BYTES * 8 // ELEMENT_BITS[kernel.element]
    if (kernel.align_a, kernel.align_b) != (widest, widest):
        raise ValueError(f"align_a: back-to-back kernels read 16 bytes at once: {widest}")
    if kernel.layout != "tn" or kernel.output != kernel.element:
        raise ValueError("output: a second product reads what the first one hands over")
    for name, with_residual in (("epilogue0", False), ("epilogue", True)):
        if not is_simple(getattr(kernel, name), with_residual):
            raise ValueError(f"{name}: back-to-back kernels have simple epilogues only")


def _check_register_resident(kernel: Kernel) -> None:
    """Check that a warp's sums are whole rows, so that it needs no other warp's."""
    for name, warp, tile in (
        ("warp", kernel.warp, kernel.tile),
        ("warp1", kernel.warp1, kernel.tile1),
    ):
        if warp[1] != tile[1]:
            raise ValueError(
                f"{name}: register-resident warps are as wide as the tile: {tile[1]}, not {warp[1]}"
            )
    if kernel.warp[0] != kernel.warp1[0]:
        raise ValueError("warp1: register-resident warps keep their rows")
