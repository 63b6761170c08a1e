"""One measurement at a time on a machine, whoever takes it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.paths import cache_root


def lock_path() -> Path:
    """Return the file that profilers lock while they take times."""
    return cache_root() / "tuning" / "measuring.lock"


@contextmanager
def measuring(path: Path | None = None) -> Iterator[None]:
    """Wait until nobody else measures on this machine, and keep others waiting meanwhile.

    The lock is the kernel's (flock): it falls with the process that holds it.

    Raises:
        OSError: the lock file cannot be made; the message names it.
    """
    path = path or lock_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
