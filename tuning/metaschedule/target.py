"""This machine as TVM's LLVM back end is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

_KINDS = (
    ("znver4", {"avx512f", "avx512vl", "avx512_bf16", "clzero"}),
    ("sapphirerapids", {"avx512f", "avx512vl", "avx512_bf16", "amx_tile"}),
    ("cascadelake", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"}),
    ("skylake-avx512", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    ("znver3", {"avx2", "fma", "f16c", "bmi2", "movbe", "clzero", "vaes"}),
    ("haswell", {"avx2", "fma", "f16c", "bmi2", "movbe"}),
)
"""LLVM's name -> flags of /proc/cpuinfo that it takes for granted; the best first."""


def cpu_name(flags: Iterable[str] | None = None) -> str:
    """Return LLVM's name of the best processor whose instructions this one has.

    TVM does not know `native`. Without a name it would not use vectors of more than 128 bits.

    Args:
        flags: as in /proc/cpuinfo; this machine's if None.
    """
    if flags is None:
        try:
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        flags = text.partition("\nflags")[2].partition("\n")[0].partition(":")[2].split()
    has = set(flags)
    return next((name for name, wanted in _KINDS if wanted <= has), "generic")


def target_of(threads: int, cpu: str | None = None) -> dict[str, Any]:
    """Return the target as TVM reads it: wide vectors on, as many cores as threads.

    LLVM prefers 256-bit vectors on several processors with AVX-512; that preference is taken back.
    """
    cpu = cpu or cpu_name()
    found: dict[str, Any] = {"kind": "llvm", "num-cores": threads}
    if cpu != "generic":
        found["mcpu"] = cpu
    if cpu in ("znver4", "sapphirerapids", "cascadelake", "skylake-avx512"):
        found["mattr"] = ["-prefer-256-bit"]
    return found
