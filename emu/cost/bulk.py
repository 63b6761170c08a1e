"""CPU per gigabyte: a rule, and the kernel's own CUBIC and BBR, at one rate over a fast path.

The path is a cable without a shaper, so that nothing but hosts and TCP takes CPU. All send at the
same rate, for at another one they would send other segments: the rule by bounds of its rate, the
others by SO_MAX_PACING_RATE, or, for CUBIC that is not paced, by what iperf3 writes.

CPU is what the machine was not idle for, kernel and interrupts included, less the same in as much
time without a flow. So the machine must have nothing else to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from emu.cost.entrants import RULE
from emu.cost.per_ack import order
from emu.cost.turns import host_file, rest, turn
from emu.datapath.decision import compiled
from emu.datapath.loading import Datapath, under_free_name
from emu.datapath.settings import Settings
from emu.measure.asked import FRAME_BYTES
from emu.topology.layout import Cable, Layout
from emu.topology.network import Network
from emu.traffic.flows import prepare
from emu.world.inside import folder
from policies.congestion.base import CONTROLLERS

PAYLOAD_BYTES = 1448
CUBIC, CUBIC_PACED, BBR = "cubic", "cubic_paced", "bbr"
OTHERS = {CUBIC: "cubic", CUBIC_PACED: "cubic", BBR: "bbr"}
"""Who a rule is held against -> the kernel's name of it."""


@dataclass(frozen=True)
class _Look:
    busy_s: float
    frame_bytes: int


def inside(request: Mapping[str, Any], note: Callable[[Any], None]) -> dict[str, Any]:
    """Send in turn over the same path. Invoked in a private world.

    Args:
        request: `policy`, `parameters`, `mbps` (whole packets), `rounds`, `settle_s`, `watch_s`.
        note: not used.

    Returns:
        `turns`, a dict each: `round`, `entrant`, `busy_s` (CPU seconds, the rest's taken off),
        `payload_bytes`; and `rest_cores`, how many cores were busy without a flow, per round.

    Raises:
        EmulationError: a flow failed.
        DatapathError: the rule cannot be loaded.
    """
    del note
    rate_bps = 1e6 * request["mbps"]
    bounds = dict.fromkeys(("start_bps", "min_bps", "max_bps"), rate_bps)
    decision = compiled(CONTROLLERS.get(request["policy"]).rule)

    def load(name: str) -> Datapath:
        parameters = {**request["parameters"], **bounds}
        return Datapath(Settings(name, parameters, tells=False), decision)

    watch_s, turns, rests = request["watch_s"], [], []
    layout = Layout(("s1", "r1"), (), (Cable("s1", "r1"),))
    with (
        under_free_name("tri_b", load) as datapath,
        Network(layout, folder()) as network,
    ):
        prepare(network, 0)
        look = partial(_look, network)
        for place in range(request["rounds"]):
            before = busy_s()
            rest(watch_s)
            rests.append((busy_s() - before) / watch_s)
            for name in order([RULE, *OTHERS], place):
                congestion = OTHERS.get(name, datapath.settings.name)
                seconds = (request["settle_s"], watch_s)
                options = _limit(name, rate_bps)
                began, ended = turn(network, congestion, seconds, look, options=options)
                row = {"busy_s": ended.busy_s - began.busy_s - rests[-1] * watch_s}
                frames = (ended.frame_bytes - began.frame_bytes) / FRAME_BYTES
                turns.append(
                    {
                        "round": place,
                        "entrant": name,
                        **row,
                        "payload_bytes": frames * PAYLOAD_BYTES,
                    }
                )
    return {"turns": turns, "rest_cores": rests}


def _limit(name: str, rate_bps: float) -> list[str]:
    payload_bps = str(round(rate_bps * PAYLOAD_BYTES / FRAME_BYTES))
    if name == RULE:
        return []
    return ["-b", payload_bps] if name == CUBIC else ["--fq-rate", payload_bps]


def _look(network: Network) -> _Look:
    carried = received_bytes(host_file(network, "r1", "/proc/net/dev"), "r1-0")
    return _Look(busy_s(), carried)


def received_bytes(text: str, device: str) -> int:
    """Return the bytes of frames that a device has received, from /proc/net/dev.

    Raises:
        StopIteration: there is no such device.
    """
    lines = (line.partition(":") for line in text.splitlines())
    return next(int(counts.split()[0]) for name, _, counts in lines if name.strip() == device)


def busy_s(text: str | None = None, now_s: float | None = None) -> float:
    """Return for how long cores were busy, all together, since some moment, s.

    It is the time that passed less the time that they were idle or not ours, which the kernel
    knows exactly; times by ticks would miss work that timers wake an idle core for.

    Args:
        text: of /proc/stat; None: read now.
        now_s: the moment it is of; None: now.
    """
    text = Path("/proc/stat").read_text(encoding="ascii") if text is None else text
    now_s = time.monotonic() if now_s is None else now_s
    rows = [line.split() for line in text.splitlines() if line.startswith("cpu")]
    idle, waiting, stolen = (int(rows[0][place]) for place in (4, 5, 8))
    return (len(rows) - 1) * now_s - (idle + waiting + stolen) / os.sysconf("SC_CLK_TCK")
