"""Memory that profiler and worker share: whose turn it is, and the reference's numbers.

The worker says in two words, before it touches a candidate, which one and since when. They outlive
a worker that crashes or hangs, cost nothing while times are taken, and so tell whom to blame.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOBODY = -1
EVERYBODY = -2
_BYTES = mmap.PAGESIZE


class Board:
    """Two anonymous files, made by the profiler and inherited by its worker.

    Args:
        fds: file descriptors of the two, or None to make them.
    """

    def __init__(self, fds: tuple[int, int] | None = None) -> None:
        self._made = fds is None
        if fds is None:
            fds = (os.memfd_create("triptych-turn"), os.memfd_create("triptych-reference"))
            os.ftruncate(fds[0], _BYTES)
        self.fds = fds
        self._memory = mmap.mmap(fds[0], _BYTES)
        self._turn: NDArray[np.int64] = np.frombuffer(self._memory, np.int64, 2)
        if self._made:
            self.take(NOBODY)

    def take(self, index: int) -> None:
        """Note that candidate `index` is about to be touched; `NOBODY` when it is over."""
        self._turn[1] = time.monotonic_ns()
        self._turn[0] = index

    def turn(self) -> tuple[int, float]:
        """Return whose turn it is and for how many seconds it has been."""
        return int(self._turn[0]), (time.monotonic_ns() - int(self._turn[1])) / 1e9

    def publish(self, wanted: NDArray[Any]) -> None:
        """Store the reference's output for the worker."""
        os.ftruncate(self.fds[1], 0)
        os.ftruncate(self.fds[1], wanted.nbytes)
        with os.fdopen(os.dup(self.fds[1]), "r+b") as file:
            file.seek(0)
            np.ascontiguousarray(wanted, np.float32).tofile(file)

    def wanted(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the reference's output that `publish` stored, read-only."""
        memory = mmap.mmap(self.fds[1], 0, access=mmap.ACCESS_READ)
        return np.frombuffer(memory, np.float32, int(np.prod(shape))).reshape(shape)

    def close(self) -> None:
        """Give the memory back."""
        del self._turn
        self._memory.close()
        for fd in self.fds:
            os.close(fd)
