"""Congestion controls by eBPF that costs are held against: the kernel's own functions, and none."""

from __future__ import annotations

from pathlib import Path

from emu.datapath import machine
from emu.datapath.build import compile_object
from emu.datapath.libbpf import Loaded
from emu.datapath.loading import under_free_name

SOURCES = Path(__file__).resolve().parent / "bpf"
OPERATIONS = "hooks"
HOOKS = ("cubic", "bbr", "empty")
"""`cubic` and `bbr` call the kernel's functions and nothing else; `empty` does nothing at all."""
PER_ACK = {"cubic": "hook_acked", "bbr": "hook_control", "empty": "hook_control"}
"""The callback that runs once for every ACK of new data."""


class Hooks:
    """Such a congestion control, registered from its making to `close`.

    Args:
        which: one of HOOKS.
        window: packets in flight, of `empty`.

    Attributes:
        name: what sockets ask for.
        loaded: the programs.

    Raises:
        DatapathError: it cannot be built or loaded, or the kernel has no such congestion control.
    """

    def __init__(self, which: str, window: int = 100) -> None:
        machine.check_load()
        self.name = ""
        source = SOURCES / f"{which}.bpf.c"

        def load(name: str) -> Loaded:
            self.name = name
            header = f'#define HOOKS_NAME "{name}"\n#define WINDOW {window}\n'
            return Loaded(compile_object(source, {"config.h": header}), OPERATIONS)

        self.loaded = under_free_name(f"tri_{which}", load)

    def close(self) -> None:
        """Take the registration back."""
        self.loaded.close()
