"""Time in congestion control's callbacks per ACK: a rule, the kernel's CUBIC and BBR, in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from emu.cost import statistics
from emu.cost.entrants import Entrant, loaded
from emu.cost.statistics import Ran
from emu.cost.turns import host_file, turn
from emu.measure.asked import FRAME_BYTES
from emu.measure.check import BRIEF, check
from emu.topology.layout import dumbbell
from emu.topology.network import Network
from emu.traffic.flows import prepare
from emu.world.inside import folder
from sim.net.links import Constant, DropTail, Link

QUEUE_BDP = 1.0
BRIEF_TURN_S = 1.5
"""Turns shorter than this are over a link that is measured briefly."""


@dataclass(frozen=True)
class _Look:
    ran: dict[str, Ran]
    acks: int
    decisions: int


def inside(request: Mapping[str, Any], note: Callable[[Any], None]) -> dict[str, Any]:
    """Time all entrants in turn over one link. Invoked in a private world.

    Args:
        request: `policy`, `parameters`, `mbps`, `rtt_ms`, `rounds`, `settle_s`, `watch_s`.
        note: not used.

    Returns:
        `turns`, a dict each: `round`, `entrant`, `acks` (segments that came back to the sender),
        `decisions`, and `programs`, name -> [ns, runs]; and `checked`, what the link measured.

    Raises:
        EmulationError: the link is not the one asked for, or a flow failed.
        DatapathError: a congestion control cannot be loaded.
    """
    del note
    rate_bps, rtt_s = 1e6 * request["mbps"], request["rtt_ms"] / 1e3
    bdp = max(4, round(rate_bps * rtt_s / 8 / FRAME_BYTES))
    queue = DropTail(packets=max(16, round(QUEUE_BDP * bdp)))
    link = Link(Constant(rate_bps), round(rtt_s * 1e9 / 2), queue)
    seconds, turns = (request["settle_s"], request["watch_s"]), []
    with (
        Network(dumbbell(1, link), folder()) as network,
        loaded(request["policy"], request["parameters"], bdp) as entrants,
        statistics.kept(),
    ):
        checked = check(network, "s1", "r1", effort=BRIEF if sum(seconds) < BRIEF_TURN_S else None)
        prepare(network, 0)
        for place in range(request["rounds"]):
            for name in order(list(entrants), place):
                entrant = entrants[name]
                look = partial(_look, network, entrant)
                before, after = turn(network, entrant.congestion, seconds, look, entrant.poll)
                turns.append({"round": place, "entrant": name, **_difference(before, after)})
        return {"turns": turns, "checked": checked, "shaper": network.shaper.told}


def order(names: list[str], place: int) -> list[str]:
    """Return the names with another one first in each round."""
    first = place % len(names)
    return names[first:] + names[:first]


def _look(network: Network, entrant: Entrant) -> _Look:
    ran = entrant.ran()
    text = host_file(network, "s1", "/proc/net/snmp")
    return _Look(ran, segments_in(text), entrant.decisions)


def segments_in(text: str) -> int:
    """Return the TCP segments that a host has received, from its /proc/net/snmp."""
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("InSegs")])


def _difference(before: _Look, after: _Look) -> dict[str, Any]:
    ran = {name: total - before.ran[name] for name, total in after.ran.items()}
    return {
        "acks": after.acks - before.acks,
        "decisions": after.decisions - before.decisions,
        "programs": {name: [some.ns, some.count] for name, some in ran.items()},
    }
