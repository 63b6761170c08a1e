"""One CUTLASS kernel as plain data: all that its source is rendered from.

A `Kernel` is complete: two that are equal render to the same text. Whether it can compute an
operator depends on the operator's extents as well and is asked elsewhere (`candidates.rejected`,
`residence.refusal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from tuning.operators import Epilogue
from tuning.space import Candidate, Value
from tuning.templates.cutlass.architecture import (
    ELEMENT_BITS,
    WARP_THREADS,
    Architecture,
    Shape,
    architecture,
)
from tuning.templates.cutlass.structure import check_pair, check_single

Family = Literal["gemm", "batched", "conv2d", "b2b_gemm", "b2b_conv"]
Residence = Literal["none", "register", "shared"]
Layout = Literal["tn", "tt"]
Schedule = Literal["", "warp_specialized", "pingpong", "cooperative"]
SWIZZLES = (1, 2, 4, 8)
"""Threadblock columns that are walked before the next row, so that both operands stay in L2."""
SPLITS = (1, 2, 4, 8, 16)
"""Parts of K that threadblocks of their own compute, added up one after the other (serial)."""
ACCUMULATES = {
    "float16": ("float32", "float16"),
    "bfloat16": ("float32",),
    "int8": ("int32",),
}
"""Input element -> what it may be added up in."""
OUTPUTS = {
    "float16": ("float16", "float32"),
    "bfloat16": ("bfloat16", "float32"),
    "int8": ("int8", "int32", "float32"),
}
NO_SHAPE: Shape = (0, 0, 0)
_SHAPES = ("tile", "warp", "instruction", "cluster", "tile1", "warp1")
_NUMBERS = ("align_a", "align_b", "align_c", "stages", "swizzle", "split_k")
_RUNTIME = ("split_k",)
GROUP_WARPS = 4


@dataclass(frozen=True)
class Kernel:
    """One instance of a CUTLASS template.

    Convolutions are forward, implicit GEMMs over NHWC activations and OHWI weights: rows are
    N OH OW, columns OC, depth KH KW IC. D is row-major.

    Attributes:
        arch: target of nvcc, one of `architecture.ARCHITECTURES`.
        family: the template.
        element: of A and B: `float16`, `bfloat16`, `int8`.
        accumulate: what products are added up in.
        output: element of C (a residual) and D, and of what a first product hands to a second.
        layout: `tn` (A row-major, B column-major: depth lies side by side in both, as packed
            weights have it) or `tt` (both row-major: B as an input gives it). Convolutions: `tn`.
        align_a: elements of A read at once; divides its contiguous extent (K, or IC).
        align_b: the same of B (K with `tn`, N with `tt`, IC).
        align_c: elements of C and D written at once; divides N, or OC.
        tile: of a threadblock.
        warp: of a warp; its depth is smaller than the tile's where warps share the depth. Of a
            warp group (4 warps, which issue `wgmma` together) for 3.x.
        instruction: of the tensor core.
        stages: tiles in flight in shared memory; 0 leaves it to the collective builder (3.x).
        swizzle: one of `SWIZZLES`.
        split_k: one of `SPLITS`; an argument of the kernel, but beyond 1 it is compiled for it.
        cluster: threadblocks that share loads (3.x); (1, 1, 1) otherwise.
        schedule: of warps, 3.x only; "" otherwise.
        epilogue: `Epilogue.text()`; of the second product where there are two. The text's
            `>dtype` is left out: the type is `output`.
        residence: where a back-to-back kernel keeps the first product; `none` for others.
        tile1: threadblock tile of the second product, `NO_SHAPE` where there is none.
        warp1: its warp tile.
        epilogue0: of the first of two products.

    Raises:
        ValueError: the values are of no kernel that compiles; the message names the field.
    """

    arch: str
    family: Family
    element: str
    accumulate: str
    output: str
    layout: Layout
    align_a: int
    align_b: int
    align_c: int
    tile: Shape
    warp: Shape
    instruction: Shape
    stages: int
    swizzle: int = 1
    split_k: int = 1
    cluster: Shape = (1, 1, 1)
    schedule: Schedule = ""
    epilogue: str = "none"
    residence: Residence = "none"
    tile1: Shape = NO_SHAPE
    warp1: Shape = NO_SHAPE
    epilogue0: str = "none"

    def __post_init__(self) -> None:
        _check_types(self)
        arch = architecture(self.arch)
        _check_words(self)
        for name in ("epilogue", "epilogue0"):
            text = getattr(self, name)
            if Epilogue.parse(text).text() != text or ">" in text:
                raise ValueError(f"{name}: {text[:40]!r} is not as Epilogue.text() writes it")
        check_single(self, arch)
        check_pair(self, arch)

    @property
    def architecture(self) -> Architecture:
        """The target's facts."""
        return architecture(self.arch)

    @property
    def is_pair(self) -> bool:
        """Whether it computes two products back to back."""
        return self.family.startswith("b2b")

    @property
    def warps(self) -> int:
        """Warps of a threadblock that multiply; those that only load (3.x) not counted."""
        counts = (t // w for t, w in zip(self.tile, self.warp, strict=True))
        rows, columns, depth = counts
        found = rows * columns * depth * self._group
        return 2 * found if self.schedule == "pingpong" else found

    @property
    def _group(self) -> int:
        """Warps that one instruction occupies."""
        return GROUP_WARPS if self.architecture.api == "3.x" else 1

    @property
    def threads(self) -> int:
        """Threads of a threadblock, with the group of loading warps that 3.x kernels have."""
        loaders = GROUP_WARPS if self.schedule else 0
        return WARP_THREADS * (self.warps + loaders)

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a threadblock's operand tiles, whose room the epilogue reuses.

        A shared-resident pair keeps the first product's tile there besides. Automatic stages fill
        what the epilogue's tile leaves of the largest threadblock's memory.
        """
        size = ELEMENT_BITS[self.element] // 8
        stage = size * self.tile[2] * (self.tile[0] + self.tile[1])
        if self.is_pair:
            used = self.stages * max(stage, size * self.tile1[2] * self.tile1[1])
            kept = size * self.tile[0] * self.tile[1] if self.residence == "shared" else 0
            return used + kept
        if self.stages:
            return self.stages * stage
        left = self.architecture.block_shared_bytes
        left -= ELEMENT_BITS[self.output] // 8 * self.tile[0] * self.tile[1]
        return stage * max(2, left // stage)

    @property
    def accumulators(self) -> int:
        """32-bit registers per thread that hold sums.

        A register-resident pair holds those of both products at once; a shared-resident one has
        put the first's away before it begins the second.
        """
        halves = 2 if ELEMENT_BITS[self.accumulate] == 16 else 1
        first, second = (rows * columns for rows, columns, _ in (self.warp, self.warp1))
        count = first + second if self.residence == "register" else max(first, second)
        return -(-count // (WARP_THREADS * self._group * halves))

    def name(self) -> str:
        """Return a name such as `sm_80_gemm_float16_float32_float16_128x128x32_64x64x32_...`."""
        tile, second = (_text(shape) for shape in (self.tile, self.tile1))
        shapes = f"{tile}_{second}_{self.residence}" if self.is_pair else tile
        if self.schedule:
            shapes += f"_{_text(self.cluster)}_{self.schedule}"
        aligned = f"{self.align_a}_{self.align_b}_{self.align_c}"
        return (
            f"{self.arch}_{self.family}_{self.element}_{self.accumulate}_{self.output}_{shapes}_"
            f"{_text(self.warp)}_{_text(self.instruction)}_s{self.stages}_{self.layout}_"
            f"align{aligned}_swizzle{self.swizzle}_split{self.split_k}"
        )

    def to_candidate(self) -> Candidate:
        """Return it as searches see it; `split_k` is an argument, that it is not 1 is compiled."""
        values: dict[str, Value] = {
            field.name: _text(value) if isinstance(value, tuple) else value
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        runtime = {name: values.pop(name) for name in _RUNTIME}
        values["serial"] = self.split_k > 1
        template = "pair" if self.is_pair else "conv2d" if self.family == "conv2d" else "gemm"
        return Candidate.of(template, values, runtime)

    @classmethod
    def from_candidate(cls, candidate: Candidate) -> Kernel:
        """Return the kernel that `to_candidate` wrote.

        Raises:
            ValueError: a parameter is missing, unknown, or of no kernel.
        """
        values: Mapping[str, Any] = candidate.params
        named = {field.name for field in fields(cls)} | {"serial"}
        if strange := sorted(named ^ set(values)):
            raise ValueError(f"parameter {strange[0][:40]!r} is missing or unknown")
        chosen: dict[str, Any] = {
            name: _shape(name, value) if name in _SHAPES else value
            for name, value in values.items()
            if name != "serial"
        }
        found = cls(**chosen)
        if found.to_candidate() != candidate:
            raise ValueError("serial: does not go with split_k, or template not with family")
        return found


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _shape(name: str, value: Any) -> Shape:
    parts = value.split("x") if isinstance(value, str) and len(value) <= 40 else []
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError(f"{name}: {str(value)[:40]!r} is not rows x columns x depth")
    rows, columns, depth = map(int, parts)
    return rows, columns, depth


def _check_types(kernel: Kernel) -> None:
    """Complain about a value of another type: kernels may come from a file that anybody wrote."""
    for field in fields(kernel):
        value = getattr(kernel, field.name)
        if field.name in _SHAPES:
            fits = isinstance(value, tuple) and len(value) == 3
            fits = fits and all(type(part) is int and 0 <= part <= 1 << 12 for part in value)
        elif field.name in _NUMBERS:
            fits = type(value) is int and 0 <= value <= 1 << 12
        else:
            fits = type(value) is str and len(value) <= 100
        if not fits:
            raise ValueError(f"{field.name}: {str(value)[:40]!r} is none that a kernel can have")


def _check_words(kernel: Kernel) -> None:
    for name, known in (
        ("family", get_args(Family)),
        ("layout", get_args(Layout)),
        ("schedule", get_args(Schedule)),
        ("residence", get_args(Residence)),
        ("element", tuple(ACCUMULATES)),
        ("accumulate", ACCUMULATES.get(kernel.element, ())),
        ("output", OUTPUTS.get(kernel.element, ())),
        ("swizzle", SWIZZLES),
        ("split_k", SPLITS),
    ):
        value = getattr(kernel, name)
        if value not in known:
            words = ", ".join(repr(word) for word in known)
            raise ValueError(f"{name}: {str(value)[:40]!r} is none of {words}")
