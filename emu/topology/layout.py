"""Topologies that are emulated: hosts, switches and cables; the dumbbell and the parking lot.

A cable with a link in a direction has a shaper in its middle; one without is as fast as the
machine. Links are those of `sim.net.links`, so that simulator and emulator are asked for the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emu.problems import EmulationError
from sim.net.links import Link

MOST_HOSTS = 200


@dataclass(frozen=True)
class Cable:
    """What joins two nodes.

    Attributes:
        left, right: names of hosts or switches.
        forward: the link from left to right, or None.
        backward: the link from right to left; both or none are set.
        loss_seed: of the random loss of `forward`; None: drawn from the layout's seed.
    """

    left: str
    right: str
    forward: Link | None = None
    backward: Link | None = None
    loss_seed: int | None = None


@dataclass(frozen=True)
class Layout:
    """A tree of hosts and switches.

    Attributes:
        hosts: names; each has one cable.
        switches: names.
        cables: what joins them.
        seed: of the random losses, >= 0.
    """

    hosts: tuple[str, ...]
    switches: tuple[str, ...]
    cables: tuple[Cable, ...]
    seed: int = 0

    def check(self) -> None:
        """Check names, links, and that the cables make one tree.

        Raises:
            EmulationError: they do not; the message names the node or cable.
            ScenarioError: a field of a link is out of range.
        """
        nodes = (*self.hosts, *self.switches)
        if not 2 <= len(self.hosts) <= MOST_HOSTS:
            raise EmulationError(f"layout: needs 2 to {MOST_HOSTS} hosts, got {len(self.hosts)}")
        for name in nodes:
            if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", name):
                raise EmulationError(
                    f"layout: {name!r} cannot name a node; take up to 8 small letters and digits"
                )
            if nodes.count(name) > 1:
                raise EmulationError(f"layout: two nodes are named {name!r}; rename one")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise EmulationError(f"layout: seed must be an integer >= 0, got {self.seed!r}")
        for cable in self.cables:
            self._check_cable(cable, nodes)
        for host in self.hosts:
            if sum(host in (cable.left, cable.right) for cable in self.cables) != 1:
                raise EmulationError(f"layout: host {host!r} must have one cable")
        if len(self.cables) != len(nodes) - 1 or len(self._reached(nodes[0])) != len(nodes):
            raise EmulationError("layout: the cables must join all nodes, without a loop")

    def _check_cable(self, cable: Cable, nodes: tuple[str, ...]) -> None:
        part = f"layout: cable {cable.left}-{cable.right}"
        for end in (cable.left, cable.right):
            if end not in nodes:
                raise EmulationError(f"{part}: there is no node {end!r}")
        if (cable.forward is None) != (cable.backward is None):
            raise EmulationError(f"{part}: set both `forward` and `backward`, or neither")
        for link in (cable.forward, cable.backward):
            if link is not None:
                link.check()

    def _reached(self, start: str) -> set[str]:
        seen, new = {start}, [start]
        while new:
            here = new.pop()
            for cable in self.cables:
                if here in (cable.left, cable.right):
                    there = cable.right if here == cable.left else cable.left
                    if there not in seen:
                        seen.add(there)
                        new.append(there)
        return seen

    @property
    def shaped(self) -> tuple[Cable, ...]:
        """Return the cables that have links, in order."""
        return tuple(cable for cable in self.cables if cable.forward is not None)

    def path(self, source: str, target: str) -> tuple[Link, ...]:
        """Return the links that packets from one host to another pass, in order.

        Raises:
            EmulationError: there is no such host.
        """
        for name in (source, target):
            if name not in self.hosts:
                raise EmulationError(f"layout: no host {name!r}; there are {', '.join(self.hosts)}")
        found = self._walk(source, target, None)
        assert found is not None
        return tuple(link for link in found if link is not None)

    def _walk(self, here: str, target: str, came: Cable | None) -> list[Link | None] | None:
        if here == target:
            return []
        for cable in self.cables:
            if cable is came or here not in (cable.left, cable.right):
                continue
            forward = here == cable.left
            rest = self._walk(cable.right if forward else cable.left, target, cable)
            if rest is not None:
                return [cable.forward if forward else cable.backward, *rest]
        return None


def dumbbell(
    pairs: int,
    forward: Link,
    backward: Link | None = None,
    access: Sequence[Link | None] = (),
    seed: int = 0,
    loss_seed: int | None = None,
) -> Layout:
    """Return a dumbbell: senders s1, s2, ... and receivers r1, r2, ... share one bottleneck.

    Args:
        pairs: of a sender and a receiver.
        forward: the bottleneck from senders to receivers.
        backward: the way back; None: as forward, without its random loss.
        access: links between each sender and the bottleneck, both ways; for RTTs of their own.
        seed: of the random losses.
        loss_seed: of those of `forward` alone; None: from `seed`.
    """
    back = (
        replace(forward, loss=None, name=f"{forward.name} back") if backward is None else backward
    )
    cables = [Cable("left", "right", forward, back, loss_seed)]
    extra = [*access, *[None] * (pairs - len(access))]
    for i in range(1, pairs + 1):
        cables.append(Cable(f"s{i}", "left", extra[i - 1], extra[i - 1]))
        cables.append(Cable("right", f"r{i}"))
    hosts = [f"{side}{i}" for side in "sr" for i in range(1, pairs + 1)]
    return Layout(tuple(hosts), ("left", "right"), tuple(cables), seed)


def parking_lot(hops: Sequence[Link], seed: int = 0) -> Layout:
    """Return a parking lot: s0 to r0 passes every hop, si to ri crosses hop i (1, 2, ...).

    Args:
        hops: links from left to right; the way back is as fast, without random loss.
        seed: of the random losses.
    """
    switches = [f"w{i}" for i in range(len(hops) + 1)]
    cables, hosts = [], ["s0", "r0"]
    for i, hop in enumerate(hops):
        back = replace(hop, loss=None, name=f"{hop.name} back")
        cables.append(Cable(switches[i], switches[i + 1], hop, back))
        cables += [Cable(f"s{i + 1}", switches[i]), Cable(switches[i + 1], f"r{i + 1}")]
        hosts += [f"s{i + 1}", f"r{i + 1}"]
    cables += [Cable("s0", switches[0]), Cable(switches[-1], "r0")]
    return Layout(tuple(hosts), tuple(switches), tuple(cables), seed)
