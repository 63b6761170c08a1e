"""Adding lines to a file that other processes add to as well: all of them or none."""

from __future__ import annotations

import fcntl
import os


def append_whole(fd: int, data: bytes) -> None:
    """Add whole lines at the end of a file, on a line of their own.

    Args:
        fd: opened for reading and appending; it stays locked until it is closed.
        data: lines, the last newline included.

    Raises:
        OSError: not all could be written; the file is as it was.
    """
    fcntl.flock(fd, fcntl.LOCK_EX)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        data = b"\n" + data  # a writer was killed within its last line
    try:
        if (written := os.write(fd, data)) < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written; disk full?")
    except OSError:
        os.ftruncate(fd, size)
        raise
