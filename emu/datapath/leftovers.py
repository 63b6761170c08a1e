"""What a process holds of eBPF in the kernel, by number, and which of it is still there later.

The kernel counts programs, maps and links up and gives no number twice, so whoever noted what a
process held can tell for sure that none of it outlives the process, whatever others load meanwhile.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from emu.datapath.libbpf import library

Held = tuple[str, int]
"""What it is, "prog", "map" or "link", and its number."""
_LINE = re.compile(r"^(prog|map|link)_id:\s*(\d+)$", re.MULTILINE)
_OWN = {"prog": "prog_type:", "map": "map_type:", "link": "link_type:"}
"""The line that only such a thing's file descriptor has; a link's tells of a map's number, too."""
_PERIOD_S = 0.02


def held_by(pid: int) -> set[Held]:
    """Return the programs, maps and links that a process has file descriptors of."""
    found: set[Held] = set()
    for path in _descriptors(pid):
        try:
            text = path.read_text(encoding="ascii")
        except OSError:  # closed just now
            continue
        numbers = dict(_LINE.findall(text))
        found |= {
            (kind, int(numbers[kind]))
            for kind, line in _OWN.items()
            if line in text and kind in numbers
        }
    return found


def still_there(held: Iterable[Held], patience_s: float = 0.0) -> set[Held]:
    """Return which of them the kernel still has, once there are none or after a while.

    The kernel frees programs some moments after their last user has gone.
    """
    end = time.monotonic() + patience_s
    left = {one for one in held if _exists(*one)}
    while left and time.monotonic() < end:
        time.sleep(_PERIOD_S)
        left = {one for one in left if _exists(*one)}
    return left


def _descriptors(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fdinfo").iterdir())
    except OSError:
        return []


def _exists(kind: str, number: int) -> bool:
    handle = getattr(library(), f"bpf_{kind}_get_fd_by_id")(number)
    if handle < 0:
        return False
    os.close(handle)
    return True
