"""Times of a kernel in nanoseconds, taken by compiled code."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from tuning.kernel import Kernel
from tuning.templates.base import Source

FLAGS = ("-std=c++17", "-O2", "-fopenmp", "-fPIC", "-shared")


def stopwatch_source() -> Source:
    """Return the source of the stopwatch, which is compiled like a template."""
    text = (Path(__file__).parent / "clock.cpp").read_text(encoding="utf-8")
    return Source(text + evict_text(), "g++", FLAGS)


def evict_text() -> str:
    """Return the C++ source of `triptych_evict`."""
    return (Path(__file__).parent / "evict.cpp").read_text(encoding="utf-8")


class Stopwatch:
    """Repeats kernels; evicts caches if `evict_bytes` is positive.

    Args:
        path: the compiled `stopwatch_source()`.
        threads: that share the eviction.
        evict_bytes: written before each call of a cold sample.
    """

    def __init__(self, path: Path, threads: int, evict_bytes: int = 0) -> None:
        library = ctypes.CDLL(str(path))
        self._time = library.triptych_time_ns
        self._time.restype = ctypes.c_int64
        self._preempted = ctypes.c_int64(0)
        self._time.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int64, ctypes.c_void_p]
        self._evict = library.triptych_evict
        self._evict.restype = None
        self._evict.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        self._threads = threads
        self._buffer = np.zeros(evict_bytes, np.uint8)

    def time_ns(self, kernel: Kernel, calls: int) -> int:
        """Return the nanoseconds that `calls` calls took, one after another."""
        return self._time(*kernel.entry, calls, ctypes.addressof(self._preempted))

    @property
    def disturbed(self) -> bool:
        """Whether the system took a core away while the last time was taken."""
        return self._preempted.value > 0

    def evict(self) -> None:
        """Write the buffer, so that caches hold nothing of a kernel's operands."""
        self._evict(self._buffer.ctypes.data, self._buffer.size, self._threads)
