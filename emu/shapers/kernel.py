"""The kernel's shaper: a bridge in the middle of each cable, traffic control on its ports.

netem (random loss, then delay) is the root and holds tbf (rate), which holds the queue: netem(8)
has this order. A link without delay and loss needs no netem, only htb. Against the relay's links:
the packet in service counts as waiting, the seed of losses cannot be given, and time has the
granularity of the kernel's timers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from emu.problems import EmulationError
from emu.shapers.base import Counters, Key, Middle, Popen
from experiments.setup.programs import ProgramError, run_program
from sim.net.links import Bernoulli, Constant, DropTail, GilbertElliott, Link, Loss

BURST_BYTES = 3100
FRAME_BYTES = 1514


def has_netem() -> bool:
    """Return whether the kernel has netem; looked for in a network namespace of its own."""
    netem = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    try:
        run_program(["unshare", "-n", *netem], timeout_s=10)
    except ProgramError:
        return False
    return True


def check(link: Link) -> None:
    """Check that traffic control can do what a link says.

    Raises:
        ScenarioError: a field is out of range.
        EmulationError: a field is in range, and traffic control has no such thing.
    """
    link.check()
    part = f"link {link.name!r}"
    if not isinstance(link.capacity, Constant):
        raise EmulationError(f"{part}: the kernel's shaper has no capacity traces; use the relay")
    if not isinstance(link.queue, DropTail):
        kind = type(link.queue).__name__
        raise EmulationError(f"{part}: queue is {kind}; the kernel's shaper has DropTail only")
    if link.jitter_ns:
        raise EmulationError(f"{part}: jitter_ns must be 0; netem's would reorder packets")


def needs_netem(link: Link) -> bool:
    """Return whether a link has what only netem can do."""
    return link.delay_ns > 0 or link.loss is not None


def commands(link: Link, interface: str) -> list[list[str]]:
    """Return the calls of tc that make what leaves at `interface` pass `link`."""
    assert isinstance(link.capacity, Constant)
    add = ["tc", "qdisc", "add", "dev", interface]
    rate = f"{round(link.capacity.rate_bps)}bit"
    if not needs_netem(link):
        sizes = ["burst", str(BURST_BYTES // 2), "cburst", str(BURST_BYTES // 2)]
        class_add = ["tc", "class", "add", "dev", interface, "parent", "1:", "classid", "1:1"]
        return [
            [*add, "root", "handle", "1:", "htb", "default", "1"],
            [*class_add, "htb", "rate", rate, "ceil", rate, *sizes],
            [*add, "parent", "1:1", "handle", "10:", *_fifo(link)],
        ]
    # netem holds what is on its way; its own limit must never be what drops.
    on_the_way = link.capacity.rate_bps * 10 * link.delay_ns / 8e9 / 64
    netem = [
        "netem",
        "delay",
        f"{link.delay_ns / 1000:.3f}us",
        "limit",
        str(int(on_the_way) + 1000),
    ]
    tbf = ["tbf", "rate", rate, "burst", str(BURST_BYTES), "limit", str(_most_bytes(link))]
    return [
        [*add, "root", "handle", "1:", *netem, *_loss(link.loss)],
        [*add, "parent", "1:1", "handle", "10:", *tbf],
        [*add, "parent", "10:1", "handle", "20:", *_fifo(link)],
    ]


def _most_bytes(link: Link) -> int:
    assert isinstance(link.queue, DropTail)
    return link.queue.bytes or FRAME_BYTES * (link.queue.packets or 1)


def _fifo(link: Link) -> list[str]:
    assert isinstance(link.queue, DropTail)
    if link.queue.packets is not None:
        return ["pfifo", "limit", str(link.queue.packets)]
    return ["bfifo", "limit", str(link.queue.bytes)]


def _loss(loss: Loss | None) -> list[str]:
    if isinstance(loss, Bernoulli):
        return ["loss", "random", f"{100 * loss.p:.6f}%"]
    if isinstance(loss, GilbertElliott):
        shares = (loss.to_bad, loss.to_good, loss.loss_bad, loss.loss_good)
        return ["loss", "gemodel", *(f"{100 * share:.6f}%" for share in shares)]
    return []


class KernelShaper:
    """Links by traffic control."""

    name = "kernel"
    told = "the kernel's traffic control (netem, tbf)"

    def __init__(self) -> None:
        self._popen: Popen | None = None
        self._middles: Sequence[Middle] = ()
        self._before: dict[Key, Counters] = {}

    @staticmethod
    def refuse(link: Link) -> None:
        """Raise EmulationError or ScenarioError if a link is none that the kernel can be."""
        check(link)

    def node(self, index: int) -> str:
        """Return the node of one bridge."""
        return f"bridge{index}"

    def start(self, popen: Popen, middles: Sequence[Middle]) -> None:
        """Make bridges and queues.

        Raises:
            EmulationError: the kernel refuses; netem is missing, for instance.
        """
        self._popen, self._middles = popen, middles
        for m in middles:
            self._call(
                m,
                [
                    "ip",
                    "link",
                    "add",
                    "middle",
                    "type",
                    "bridge",
                    "stp_state",
                    "0",
                    "mcast_snooping",
                    "0",
                ],
            )
            self._call(m, ["ip", "link", "set", "middle", "up"])
            for interface in (m.left, m.right):
                self._call(m, ["ip", "link", "set", interface, "master", "middle"])
            for link, interface in ((m.forward, m.right), (m.backward, m.left)):
                for command in commands(link, interface):
                    self._call(m, command)

    def counters(self) -> dict[Key, Counters]:
        """Return what the queueing disciplines counted; random losses are among the dropped."""
        return {
            key: replace(
                now,
                in_packets=now.in_packets - self._since(key).in_packets,
                dropped=now.dropped - self._since(key).dropped,
                delivered=now.delivered - self._since(key).delivered,
                delivered_bytes=now.delivered_bytes - self._since(key).delivered_bytes,
            )
            for key, now in self._read().items()
        }

    def restart(self) -> None:
        """Count from 0 on; losses go on as they were."""
        self._before = self._read()

    def stop(self) -> None:
        """Do nothing: the queues go with the node's interfaces."""

    def _since(self, key: Key) -> Counters:
        return self._before.get(key, Counters(0, 0, 0, 0, 0))

    def _read(self) -> dict[Key, Counters]:
        found = {}
        for m in self._middles:
            for way, interface in (("forward", m.right), ("backward", m.left)):
                told = self._call(m, ["tc", "-s", "-j", "qdisc", "show", "dev", interface])
                (root,) = [row for row in json.loads(told) if row.get("root")]
                drops, sent = root["drops"], root["packets"]
                found[m.name, way] = Counters(
                    in_packets=sent + drops + root["qlen"],
                    lost=0,
                    dropped=drops,
                    delivered=sent,
                    delivered_bytes=root["bytes"],
                    held=root["qlen"],
                )
        return found

    def _call(self, middle: Middle, argv: list[str]) -> str:
        assert self._popen is not None
        process = self._popen(middle.node, argv, text=True)
        out, err = process.communicate()
        if process.returncode != 0:
            told = (err.strip() or out.strip() or "no message").splitlines()[-1]
            raise EmulationError(
                f"cable {middle.name}: the kernel refuses `{' '.join(argv)}`: {told}; "
                "without netem use the relay"
            )
        return out
