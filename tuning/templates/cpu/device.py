"""This machine's CPU as templates and searches see it."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

from tuning.space import Device

ISA_LANES = {"avx512": 16, "avx2": 8, "generic": 4}
_ISA_FLAGS = {
    "avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "f16c"},
    "avx2": {"avx2", "fma", "f16c", "bmi2", "movbe"},
}
"""Flags of /proc/cpuinfo that x86-64-v4 and x86-64-v3 ask for, as far as we use them."""

_REGISTERS = {"avx512": 32, "avx2": 16, "generic": 16}
_FALLBACK_BYTES = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}
_ASSUMED_HZ = 3e9
_ASSUMED_BANDWIDTH = 20e9


@functools.cache
def isas() -> tuple[str, ...]:
    """Return the instruction sets that this CPU has, the widest first."""
    flags = set(_cpuinfo("flags").split())
    return (*(name for name, wanted in _ISA_FLAGS.items() if wanted <= flags), "generic")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def device(isa: str | None = None, threads: int | None = None) -> Device:
    """Return this machine with vectors of `isa` (the widest if None).

    Peak rates are estimates for ranking candidates, never reported: two fused multiply-adds per
    cycle of 256 bits (Zen 4, Skylake client), at the frequency that the system states.
    """
    isa = isa or isas()[0]
    hertz = float(_cpuinfo("cpu MHz") or 0) * 1e6 or _ASSUMED_HZ
    lanes = ISA_LANES[isa]
    return Device(
        name=f"{_cpuinfo('model name') or platform.machine()} ({isa})",
        vector_floats=lanes,
        vector_registers=_REGISTERS[isa],
        cores=threads or cores(),
        l1_bytes=_cache_bytes(1),
        l2_bytes=_cache_bytes(2),
        l3_bytes=_cache_bytes(3),
        flops=hertz * min(lanes, 8) * 4,
        bandwidth_bytes_s=_ASSUMED_BANDWIDTH,
    )


@functools.cache
def _cpuinfo(name: str) -> str:
    """Return the first value of a field of /proc/cpuinfo, or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


@functools.cache
def _cache_bytes(level: int) -> int:
    """Return the size of the data cache of a level as the kernel tells it, or a common one."""
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind = (folder / "type").read_text().strip()
            here = int((folder / "level").read_text())
            size = (folder / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        if here == level and kind != "Instruction" and size.endswith("K") and size[:-1].isdigit():
            return int(size[:-1]) << 10
    return _FALLBACK_BYTES[level]
