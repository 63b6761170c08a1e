"""What a shaper is, where it sits, and what it counts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sim.net.links import Link

Popen = Callable[..., "subprocess.Popen[str]"]
"""popen(node, argv, **options of subprocess.Popen): starts a program on a node."""


@dataclass(frozen=True)
class Middle:
    """The middle of a shaped cable.

    Attributes:
        name: of the cable, "left-right", in messages and as the key of counters.
        node: the node that the shaper works on.
        left, right: its interfaces towards the ends.
        forward, backward: the links from left to right, and back.
        seeds: of their random losses.
    """

    name: str
    node: str
    left: str
    right: str
    forward: Link
    backward: Link
    seeds: tuple[int, int]


@dataclass(frozen=True)
class Counters:
    """What became of the packets of one direction since the last restart.

    in_packets = lost + dropped + delivered + failed + held; -1: this shaper cannot tell.

    Attributes:
        in_packets: that came.
        lost: by random loss.
        dropped: by the full queue.
        delivered, delivered_bytes: that left.
        failed: that the kernel would not send.
        held: in the queue, in service or on their way.
        waiting_packets, waiting_bytes: of those, in the queue.
        missed: that came too fast to be seen; any at all spoil a measurement.
        oversized: larger than an Ethernet frame, so a sender's offloads are on.
        late_mean_ns, late_max_ns: how much later than computed packets left.
    """

    in_packets: int
    lost: int
    dropped: int
    delivered: int
    delivered_bytes: int
    failed: int = 0
    held: int = -1
    waiting_packets: int = -1
    waiting_bytes: int = -1
    missed: int = 0
    oversized: int = 0
    late_mean_ns: float = -1.0
    late_max_ns: int = -1


Key = tuple[str, str]
"""Cable's name, "forward" or "backward"."""


class Shaper(Protocol):
    """Makes cables links, from `start` to `stop`."""

    name: str
    told: str

    def refuse(self, link: Link) -> None:
        """Raise EmulationError or ScenarioError if it cannot be that link."""
        ...

    def node(self, index: int) -> str:
        """Return the name of the node in the middle of the shaped cable of that number."""
        ...

    def start(self, popen: Popen, middles: Sequence[Middle]) -> None:
        """Begin; the middles' interfaces exist. Raises EmulationError if it cannot be done."""
        ...

    def counters(self) -> dict[Key, Counters]:
        """Return the counters of all directions, as they are now."""
        ...

    def restart(self) -> None:
        """Set counters to 0; where it can, losses and capacity traces begin anew."""
        ...

    def stop(self) -> None:
        """End; also if it never began."""
        ...
