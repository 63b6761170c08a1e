"""Congestion controls by eBPF that costs are held against: the kernel's own functions, and none."""

from __future__ import annotations

from pathlib import Path

from emu.datapath import machine
from emu.datapath.build import compile_object
from emu.datapath.libbpf import Loaded
from emu.datapath.loading import under_free_name

SOURCES = Path(__file__).resolve().parent / "bpf"
OPERATIONS = "hooks"
READS = 64
"""Readings of the clock per ACK of `clock`."""
PER_ACK = {
    **{"cubic": "hook_acked", "bbr": "hook_control"},
    **{"empty": "hook_control", "clock": "hook_control"},
}
"""Whom costs are held against -> the callback that runs once for every ACK of new data.

`cubic` and `bbr` call the kernel's functions and nothing else, `empty` does nothing at all, `clock`
reads the clock so often that it can be told what one reading takes.
"""
_SOURCES = {"clock": "empty"}


class Hooks:
    """Such a congestion control, registered from its making to `close`.

    Args:
        which: one of PER_ACK.
        window: packets in flight, of `empty` and `clock`.

    Attributes:
        name: what sockets ask for.
        loaded: the programs.

    Raises:
        DatapathError: it cannot be built or loaded, or the kernel has no such congestion control.
    """

    def __init__(self, which: str, window: int = 100) -> None:
        machine.check_load()
        self.name = ""
        source = SOURCES / f"{_SOURCES.get(which, which)}.bpf.c"
        constants = f"#define WINDOW {window}\n#define READS {READS if which == 'clock' else 0}\n"

        def load(name: str) -> Loaded:
            self.name = name
            header = f'#define HOOKS_NAME "{name}"\n{constants}'
            return Loaded(compile_object(source, {"config.h": header}), OPERATIONS)

        self.loaded = under_free_name(f"tri_{which}", load)

    def close(self) -> None:
        """Take the registration back."""
        self.loaded.close()
