"""The kernel's run statistics of eBPF programs: how often each ran and for how long.

They cost two readings of the clock per run, so the kernel keeps them only while somebody asks. Here
that is a file descriptor (BPF_ENABLE_STATS, Linux 5.8): when its process ends, in whatever way,
they are off again, and no setting of the machine was touched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emu.datapath.libbpf import library
from emu.datapath.problems import DatapathError

_RUN_TIME = 0
"""`BPF_STATS_RUN_TIME` of Linux."""


@dataclass(frozen=True)
class Ran:
    """Runs of a program, or of several.

    Attributes:
        ns: how long they took together, of which about a reading of the clock is the statistics'.
        count: how many.
    """

    ns: int = 0
    count: int = 0

    def __add__(self, other: Ran) -> Ran:
        return Ran(self.ns + other.ns, self.count + other.count)

    def __sub__(self, other: Ran) -> Ran:
        return Ran(self.ns - other.ns, self.count - other.count)

    @property
    def mean_ns(self) -> float:
        """Return how long one takes, ns; NaN where there was none."""
        return self.ns / self.count if self.count else float("nan")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Have the kernel keep statistics.

    Raises:
        DatapathError: it does not.
    """
    handle = library().bpf_enable_stats(_RUN_TIME)
    if handle < 0:
        raise DatapathError("the kernel keeps no statistics of eBPF programs: call it as root")
    try:
        yield
    finally:
        os.close(handle)


def read(programs: Mapping[str, int]) -> dict[str, Ran]:
    """Return what ran so far, by name.

    Args:
        programs: file descriptors by name (`Loaded.programs`).

    Raises:
        DatapathError: one is no program.
    """
    return {name: parse(_told(handle), name) for name, handle in programs.items()}


def parse(text: str, name: str) -> Ran:
    """Read what /proc tells of a program's file descriptor.

    Raises:
        DatapathError: it tells of none; the message holds the name.
    """
    lines = (line.partition(":") for line in text.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in lines}
    try:
        return Ran(int(fields["run_time_ns"]), int(fields["run_cnt"]))
    except (KeyError, ValueError):
        raise DatapathError(f"program {name!r}: the kernel tells no run time of it") from None


def _told(handle: int) -> str:
    try:
        return Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii")
    except OSError:
        return ""
