"""What the compiler says a kernel takes of a multiprocessor: `ptxas -v`, read.

No GPU is needed to know registers and spills, so they are in the record of every kernel. The names
that the report uses are mangled: a kernel's namespace, which is its symbol, is found in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ENTRY = re.compile(r"Compiling entry function '([^']+)' for '(sm_\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_STATIC = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Resources:
    """Of a thread, but for the last.

    Attributes:
        registers: 32-bit registers.
        stack_bytes: local memory that the program's own arrays take.
        spill_store_bytes: stores of registers for which there was no room.
        spill_load_bytes: loads of them.
        static_shared_bytes: of a threadblock; the library's kernels ask for theirs at the launch.
    """

    registers: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int
    static_shared_bytes: int

    @property
    def spills(self) -> bool:
        """Whether registers are kept in memory for want of room."""
        return self.spill_store_bytes + self.spill_load_bytes > 0

    def to_dict(self) -> dict[str, int]:
        """Return plain values for a record."""
        return dict(vars(self))


def entries(report: str) -> dict[str, Resources]:
    """Return mangled name -> resources of every kernel that a compiler's report tells of."""
    found: dict[str, Resources] = {}
    name, stack = "", (0, 0, 0)
    for line in report.splitlines():
        if entry := _ENTRY.search(line):
            name, stack = entry[1], (0, 0, 0)
        elif held := _STACK.search(line):
            stack = (int(held[1]), int(held[2]), int(held[3]))
        elif name and (used := _USED.search(line)):
            static = _STATIC.search(line)
            found[name] = Resources(int(used[1]), *stack, int(static[1]) if static else 0)
            name = ""
    return found


def of_symbols(report: str, symbols: Iterable[str]) -> dict[str, Resources]:
    """Return symbol -> resources of its kernel; symbols that the report lacks are left out.

    A kernel's mangled name holds its symbol where one of its types is declared in that namespace.
    """
    known = entries(report)
    found = {}
    for symbol in symbols:
        mangled = [name for name in known if symbol in name]
        if mangled:
            found[symbol] = known[mangled[0]]
    return found
