"""The ns-3 program that we are compared with: built once into `build/ns3`, run, and read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from experiments.paths import build_root
from experiments.setup.programs import run_program

SOURCE = Path(__file__).with_name("one_flow.cc")
MODULES = ("core", "network", "internet", "point-to-point", "applications", "traffic-control")
BUILD_S = 300.0
RUN_S = 280.0

WIRE_BYTES = 1502
"""A full segment with PPP's 2 bytes."""
PAYLOAD_BYTES = 1448
ACK_BYTES = 54
"""An ACK without blocks of SACK: PPP, IPv4, TCP, time stamps."""


@dataclass(frozen=True)
class Outcome:
    """What one run of ns-3 gave; the fields are those that the program prints.

    Attributes:
        goodput_bps: payload received in order, over the measured window.
        mean_wait_s: mean time that full segments waited in the bottleneck's queue.
        packets_sent: full segments that reached the queue, dropped or not, in the whole run.
        packets_dropped: by that queue, in the whole run.
        events: that ns-3 processed.
        wall_s: time of the simulation, without start-up.
    """

    goodput_bps: float
    mean_wait_s: float
    packets_sent: int
    packets_dropped: int
    events: int
    wall_s: float


def build() -> Path:
    """Return the compiled program; compile it if it is missing or older than its source."""
    program = build_root() / "ns3" / "one_flow"
    if program.is_file() and program.stat().st_mtime >= SOURCE.stat().st_mtime:
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_name(f"{program.name}.{os.getpid()}")
    libraries = [f"-lns3-{module}" for module in MODULES]
    options = ["-std=c++17", "-O2", "-o", fresh]
    run_program(["g++", *options, SOURCE, *libraries], timeout_s=BUILD_S)
    fresh.replace(program)
    return program


def run(controller: str, **options: float) -> Outcome:
    """Run one flow; options are those of the program, `_` standing for `-`.

    Args:
        controller: `TcpCubic`, `TcpLinuxReno` or `TcpBbr`.
        options: `rate` (bit/s), `delay` (one way, ms), `queue` (packets), `seconds`, and so on.
    """
    given = [f"--{name.replace('_', '-')}={value:g}" for name, value in options.items()]
    done = run_program([build(), f"--controller={controller}", *given], timeout_s=RUN_S)
    return Outcome(**json.loads(done.stdout))
