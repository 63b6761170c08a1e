"""One cell: a bottleneck and its flows for so many seconds, on a link that was measured first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emu.measure.asked import FRAME_BYTES, Asked, asked
from emu.measure.check import BRIEF, check
from emu.problems import EmulationError
from emu.shapers.base import Counters
from emu.shapers.relay import RelayShaper
from emu.topology.layout import Layout, dumbbell
from emu.topology.network import Network
from emu.traffic import flows as traffic
from sim.net.links import Constant, DropTail, Link

CABLE = "left-right"
_FAST = Constant(1e9)
_ROOMY = DropTail(packets=100_000)
LEAST_MEASURED_QUEUE = 4
"""Packets: a shorter queue is overrun by the unevenness of a sender that shares its core."""
BRIEF_CELL_S = 8.0
"""A cell shorter than this is measured briefly."""
LATEST_NS = 2_000_000
"""Mean lateness of the relay beyond which a cell is not believed."""


@dataclass(frozen=True)
class Cell:
    """What is to be emulated.

    Attributes:
        bottleneck: the link that all flows share; half the base RTT is its delay.
        flows: they share it.
        seconds: how long, from the moment at which the link begins anew.
        extra_rtt_ns: per flow, added to the base RTT.
        loss_seed: of the random losses; those of the packet engine's link draw the same numbers.
    """

    bottleneck: Link
    flows: Sequence[traffic.Flow]
    seconds: float
    extra_rtt_ns: Sequence[int] = ()
    loss_seed: int | None = None

    def layout(self) -> Layout:
        """Return the dumbbell: the way back has the same delay and never a queue."""
        back = Link(_FAST, self.bottleneck.delay_ns, _ROOMY, name="way back")
        extra = [
            Link(_FAST, more // 2, _ROOMY, name=f"access {i + 1}") if more else None
            for i, more in enumerate(self.extra_rtt_ns)
        ]
        return dumbbell(len(self.flows), self.bottleneck, back, extra, 0, self.loss_seed)

    def wanted(self) -> Asked:
        """Return what the first path is to measure; nothing that a very short queue spoils."""
        layout, queue = self.layout(), self.bottleneck.queue
        found = asked(layout, "s1", "r1")
        assert isinstance(queue, DropTail)
        packets = queue.packets or (queue.bytes or 0) // FRAME_BYTES
        if packets < LEAST_MEASURED_QUEUE:
            return replace(found, rate_bps=None, queue_ns=None, loss=None)
        return found


@dataclass(frozen=True)
class Emulated:
    """What came of a cell.

    Attributes:
        packets: the bottleneck's account (`emu.relay.account.RECORD`), data packets only.
        sources: IPv4 address of each flow's sender, as a number.
        told: what iperf3 and the sockets told, per flow.
        checked: what the path measured before (`emu.measure.check`).
        counters: of the bottleneck.
        shaper: what the shaper says of itself.
    """

    packets: NDArray[np.void]
    sources: tuple[int, ...]
    told: list[traffic.Told]
    checked: dict[str, Any]
    counters: Counters
    shaper: str = field(default="")


def run(cell: Cell, folder: Path) -> Emulated:
    """Emulate a cell; call it in a private world.

    Args:
        cell: it.
        folder: for files; they go with the world.

    Raises:
        EmulationError: it cannot be built, the link is not the one asked for, a flow failed, or
            the machine was too busy for what was measured to mean anything.
    """
    with Network(cell.layout(), folder, "relay", account=True) as network:
        effort = BRIEF if cell.seconds < BRIEF_CELL_S else None
        checked = check(network, "s1", "r1", cell.wanted(), effort=effort)
        told = traffic.run(network, cell.flows, cell.seconds, folder)
        shaper = network.shaper
        assert isinstance(shaper, RelayShaper)
        packets = shaper.packets(CABLE, "forward")
        counters = network.counters()[CABLE, "forward"]
        _check_after(counters)
        sources = [_number(network.address(f"s{i + 1}")) for i in range(len(cell.flows))]
        return Emulated(packets, tuple(sources), told, checked, counters, shaper.told)


def _check_after(counters: Counters) -> None:
    if counters.missed or counters.oversized:
        raise EmulationError(
            f"the relay missed {counters.missed} packets, and {counters.oversized} were larger "
            "than an Ethernet frame; the machine is too busy, or a sender's offloads are on"
        )
    if counters.late_mean_ns > LATEST_NS:
        raise EmulationError(
            f"packets left {counters.late_mean_ns / 1e6:.2f} ms late on average; the machine is "
            "too busy, or the relay has no real-time priority"
        )


def _number(address: str) -> int:
    return int.from_bytes(bytes(int(part) for part in address.split(".")))
