"""Measurements of CUTLASS's own profiler, as a user hands them over: `cutlass_profiler --output`.

The file is somebody else's: nothing in it is believed before it is checked, and no row is worth a
crash. Rows that are not of a kernel of these templates are left out and counted by reason.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuning.operators import Conv2d, Gemm
from tuning.templates.cutlass.architecture import ELEMENT_BITS, WIDEST_ACCESS_BYTES
from tuning.templates.cutlass.params import Kernel

LARGEST_BYTES = 64 << 20
LARGEST_ROWS = 200_000
_TYPES = {"f16": "float16", "bf16": "bfloat16", "s8": "int8", "f32": "float32", "s32": "int32"}
_SWIZZLE = {"conv2d": 4, "gemm": 8}
"""What the profiler's kernels are generated with (`GemmIdentityThreadblockSwizzle<N>`)."""
_ALIGN = re.compile(r"_align(\d{1,2})(?:_|$)")
_SHARED_COLUMNS = (
    *("OperationKind", "Operation", "Status", "Runtime", "accum", "op_class", "stages"),
    *(f"{prefix}_{axis}" for prefix in ("cta", "warps", "inst") for axis in "mnk"),
)
_CONV_COLUMNS = (
    *("n", "h", "w", "c", "k", "r", "s", "pad_h", "pad_w", "stride_h", "stride_w"),
    *("dilation_h", "dilation_w", "Activation", "Output", "conv_kind"),
)
_GEMM_COLUMNS = ("m", "n", "k", "A", "B", "C")


@dataclass(frozen=True)
class Measured:
    """One row.

    Attributes:
        operator: what was computed; no epilogue.
        kernel: how.
        milliseconds: of a call.
    """

    operator: Gemm | Conv2d
    kernel: Kernel
    milliseconds: float


@dataclass(frozen=True)
class Measurements:
    """A file.

    Attributes:
        rows: what could be used, in the file's order.
        skipped: reason -> rows left out.
    """

    rows: tuple[Measured, ...]
    skipped: Mapping[str, int]


class MeasurementsError(ValueError):
    """The file is none of the profiler's; the message says why."""


def read_measurements(path: Path, arch: str) -> Measurements:
    """Return the rows of a profiler's CSV file that are kernels of `arch`.

    Raises:
        MeasurementsError: it cannot be read, is too large, or has no row of a known kernel.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise MeasurementsError(f"{path}: {size} bytes; {LARGEST_BYTES} at most")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise MeasurementsError(f"{path}: is not text") from None
    except OSError as error:
        raise MeasurementsError(f"{path}: {error.strerror}") from None
    return parse_measurements(text, arch, str(path))


def parse_measurements(text: str, arch: str, name: str = "measurements") -> Measurements:
    """Return the rows of the profiler's CSV text; see `read_measurements`.

    Raises:
        MeasurementsError: it has no usable row; the message says why the first was left out.
    """
    found: list[Measured] = []
    skipped: Counter[str] = Counter()
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        columns = reader.fieldnames or ()
        if missing := [c for c in _SHARED_COLUMNS if c not in columns]:
            raise MeasurementsError(f"{name}: has no column {missing[0]!r}")
        for number, row in enumerate(reader):
            if number >= LARGEST_ROWS:
                raise MeasurementsError(f"{name}: more than {LARGEST_ROWS} rows")
            made = _row(row, arch)
            if isinstance(made, str):
                skipped[made] += 1
            else:
                found.append(made)
    except csv.Error as error:
        raise MeasurementsError(f"{name}: {error}") from None
    if not found:
        why = next(iter(skipped), "it is empty")
        raise MeasurementsError(f"{name}: no row of a kernel that is known here: {why}")
    return Measurements(tuple(found), dict(skipped))


def _row(row: Mapping[str | None, object], arch: str) -> Measured | str:
    """Return the row, or why it is left out."""
    values = {str(key): value for key, value in row.items() if isinstance(value, str)}
    if values.get("Status") != "success":
        return "did not succeed"
    if values.get("op_class") != "tensorop":
        return "is of no tensor core"
    runtime = _number(values.get("Runtime", ""))
    if runtime is None:
        return "has no time"
    kind = values.get("OperationKind")
    try:
        if kind == "conv2d":
            return Measured(_conv(values), _kernel(values, arch, "conv2d"), runtime)
        if kind == "gemm":
            return Measured(_gemm(values), _kernel(values, arch, "gemm"), runtime)
    except (KeyError, ValueError) as error:
        return "is no kernel of these templates: " + str(error)[:80]
    return "is neither conv2d nor gemm"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _whole(values: Mapping[str, str], name: str) -> int:
    text = values[name]
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        raise ValueError(f"{name}: {text[:40]!r} is no whole number")
    return int(text)


def _wholes(values: Mapping[str, str], *names: str) -> list[int]:
    return [_whole(values, name) for name in names]


def _conv(values: Mapping[str, str]) -> Conv2d:
    if values["conv_kind"] != "fprop":
        raise ValueError("conv_kind: not fprop")
    n, h, w, c, k, r, s = _wholes(values, "n", "h", "w", "c", "k", "r", "s")
    pad_h, pad_w, stride_h, stride_w = _wholes(values, "pad_h", "pad_w", "stride_h", "stride_w")
    dilation = _whole(values, "dilation_h"), _whole(values, "dilation_w")
    shape = ((r, s), (stride_h, stride_w), (pad_h, pad_w), dilation)
    return Conv2d(n, h, w, c, k, *shape)


def _gemm(values: Mapping[str, str]) -> Gemm:
    if not values["A"].endswith(":row") or not values["B"].endswith(":column"):
        raise ValueError("A: is not row-major, or B not column-major")
    m, n, k = _wholes(values, "m", "n", "k")
    return Gemm(m, n, k)


def _kernel(values: Mapping[str, str], arch: str, family: str) -> Kernel:
    tensors = ("Activation", "Output") if family == "conv2d" else ("A", "C")
    element, output = (_TYPES[values[name].split(":")[0]] for name in tensors)
    align = _ALIGN.search(values["Operation"])
    if align is None:
        raise ValueError("Operation: names no alignment")
    width = int(align[1])
    tile_m, tile_n, tile_k = _wholes(values, "cta_m", "cta_n", "cta_k")
    warps = _wholes(values, "warps_m", "warps_n", "warps_k")
    if 0 in warps:
        raise ValueError("warps_m: is 0")
    step_m, step_n, step_k = _wholes(values, "inst_m", "inst_n", "inst_k")
    return Kernel(
        arch=arch,
        family="conv2d" if family == "conv2d" else "gemm",
        element=element,
        accumulate=_TYPES[values["accum"]],
        output=output,
        layout="tn",
        align_a=width,
        align_b=width,
        align_c=min(width, WIDEST_ACCESS_BYTES * 8 // ELEMENT_BITS[output]),
        tile=(tile_m, tile_n, tile_k),
        warp=(tile_m // warps[0], tile_n // warps[1], tile_k // warps[2]),
        instruction=(step_m, step_n, step_k),
        stages=_whole(values, "stages"),
        swizzle=_SWIZZLE[family],
    )
