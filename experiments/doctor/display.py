"""`triptych doctor`: the machine and its capabilities, as a table or as JSON."""

from __future__ import annotations

import json as jsonlib
import os
import platform
from dataclasses import asdict
from pathlib import Path

from experiments.doctor.survey import Capability, capabilities
from sim import compile_cache

_OWN = ("cubic", "bbr", "reno")
_DATAPATH = ("root", "bpf", "struct_ops", "clang", "bpftool")


def machine() -> dict[str, str]:
    """Return the facts of this machine: CPU model, cores, memory, system, Python."""
    return {
        "CPU": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }


def _field(path: str, name: str) -> str:
    """Return the first value of `name` in a file of `name: value` lines, or ""."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


def _memory() -> str:
    kib = _field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kib) / 2**20:.1f} GiB" if kib.isdigit() else "unknown"


def as_json(rows: list[Capability]) -> str:
    """Return the text of `triptych doctor --json`."""
    told = {"schema": 1, "capabilities": [asdict(row) for row in rows]}
    return jsonlib.dumps(told | {"compiled": compiled_parts()}, indent=2)


def compiled_parts() -> list[dict[str, str | float | bool]]:
    """Return, for each part that is compiled, the seconds that took here and if it still holds."""
    return [
        {"name": name, "seconds": seconds, "ready": ready}
        for name, (seconds, ready) in sorted(compile_cache.compiled().items())
    ]


def compile_line() -> str:
    """Return one line about what the first run of each part has to compile."""
    parts = [
        f"{part['name']} {'ready' if part['ready'] else 'stale'} ({part['seconds']:g} s)"
        for part in compiled_parts()
    ]
    return "; ".join(parts) or "nothing yet; python -m experiments.compiling does it in a minute"


def emulation_line(rows: list[Capability]) -> str:
    """Return one line about what can be emulated here, and how."""
    here = {row.name: row.present for row in rows}
    lacking = [name for name in ("root", "netns", "mininet", "iperf3") if not here[name]]
    if lacking:
        return f"nothing, for lack of {', '.join(lacking)}"
    relay = "our link relay in C" if here["cc"] else "our link relay in Python"
    links = f"netem, or {relay}" if here["netem"] else f"{relay} (the kernel has no netem)"
    late = "" if here["realtime"] else "; without real-time priority, late on a busy machine"
    return f"networks with links by {links}{late}"


def senders_line(rows: list[Capability]) -> str:
    """Return one line about whose flows can be emulated here."""
    here = {row.name: row.present for row in rows}
    own = [name.upper() if name != "reno" else "Reno" for name in _OWN if here[name]]
    kernel = f"the kernel's {', '.join(own)}" if own else "none of the kernel's"
    lacking = [name for name in _DATAPATH if not here[name]]
    if lacking:
        return f"{kernel}; no rules or agents in the datapath, for lack of {', '.join(lacking)}"
    return f"{kernel}; rules in the kernel's datapath, other controllers by an agent"


def lack(row: Capability) -> str:
    """Return the one line that says what a missing capability means and what to do."""
    return f"no {row.name}: affects {', '.join(row.affects)}. To have it: {row.fix}"


def show(json: bool = False, fresh: bool = False) -> None:
    """Print what this machine has and what each lack means.

    Args:
        json: print JSON instead of tables.
        fresh: probe now rather than take an answer that is less than an hour old.
    """
    rows = capabilities(fresh=fresh)
    if json:
        print(as_json(rows))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for name, value in machine().items():
        console.print(f"{name:8} {value}", markup=False)
    console.print(f"compiled {compile_line()}", markup=False, soft_wrap=True)
    console.print(f"emulates {emulation_line(rows)}", markup=False, soft_wrap=True)
    console.print(f"senders  {senders_line(rows)}", markup=False, soft_wrap=True)
    table = Table("capability", "here", "version")
    for row in rows:
        mark = "[green]yes[/]" if row.present else "[red]no[/]"
        table.add_row(row.name, mark, row.version or "")
    console.print(table)
    for row in rows:
        if not row.present:
            console.print(lack(row), markup=False, soft_wrap=True)
