"""Which shaper: netem where the kernel has it and the links allow it, else the relay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from emu.problems import EmulationError
from emu.shapers import kernel
from emu.shapers.base import Shaper
from emu.shapers.kernel import KernelShaper
from emu.shapers.relay import RelayShaper
from sim.net.links import Link

NAMES = ("auto", "kernel", "relay", "relay-c", "relay-python")


def choose(
    name: str,
    links: Iterable[Link],
    folder: Path,
    sample_ns: int = 0,
    spin_ns: int = 0,
    account: bool = False,
) -> Shaper:
    """Return the shaper of that name, ready to start; its `told` says what it is and why.

    Args:
        name: one of NAMES.
        links: all that it has to be.
        folder: for its files.
        sample_ns: time between samples of the queues; 0: none. Only the relay takes them.
        spin_ns: for how long the relay, if it is one, stays awake before a packet is due.
        account: whether it keeps an account of packets. Only the relay can.

    Raises:
        EmulationError: no such shaper, or it cannot be one of the links.
        ScenarioError: a field of a link is out of range.
    """
    links = list(links)
    if name not in NAMES:
        raise EmulationError(f"shaper must be one of {', '.join(NAMES)}, got {name!r}")
    if name == "auto":
        why = _against_kernel(links, sample_ns, account)
        made = _made("relay" if why else "kernel", folder, sample_ns, spin_ns, account)
        made.told += f" ({why})" if why else ""
    else:
        made = _made(name, folder, sample_ns, spin_ns, account)
    for link in links:
        made.refuse(link)
    return made


def _made(name: str, folder: Path, sample_ns: int, spin_ns: int, account: bool) -> Shaper:
    if name == "kernel":
        return KernelShaper()
    implementation = name.removeprefix("relay").removeprefix("-") or "auto"
    return RelayShaper(folder, implementation, spin_ns, sample_ns, account)


def _against_kernel(links: list[Link], sample_ns: int, account: bool) -> str:
    """Return why the kernel's shaper will not do, or ""."""
    try:
        for link in links:
            kernel.check(link)
    except EmulationError as error:
        return str(error)
    if sample_ns:
        return "the kernel's shaper takes no samples of its queues"
    if account:
        return "the kernel's shaper keeps no account of packets"
    if any(kernel.needs_netem(link) for link in links) and not kernel.has_netem():
        return "the kernel has no netem"
    return ""
