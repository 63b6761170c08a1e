"""A layout, built: hosts and switches of Mininet, shapers in the middle of cables.

All hosts are in one subnet; switches are Linux bridges. Neighbours are told to each other in
advance and IPv6 is off, so that nothing but the experiment's own packets meets a link. Offloads
are off, so that links see packets as they are on a wire (1514 bytes, not 64 KiB).
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emu.problems import EmulationError
from emu.shapers import choice
from emu.shapers.base import Counters, Key, Middle
from emu.topology import mininet
from emu.topology.layout import Cable, Layout
from sim import streams

_SUBNET = ipaddress.ip_network("10.0.0.0/16")
_QUIET = "for f in /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6; do echo 1 > $f; done"
_SHORT_END = "echo 1 > /proc/sys/net/ipv4/tcp_orphan_retries"
"""A connection whose process was killed holds its namespace, and its congestion control, until the
kernel has given up sending what is left: by default after eight retries, a minute or two."""
_OFFLOADS = "tso off gso off gro off tx off rx off"
_BRIDGE = "stp_state 0 mcast_snooping 0"
_SETUP_S = 60.0


class Network:
    """A topology that exists from `with` to its end. Build it inside a private world.

    Args:
        layout: what to build.
        folder: for files of the shaper.
        shaper: one of `emu.shapers.choice.NAMES`.
        sample_ns: time between samples of the queues (by the relay); 0: none.
        spin_ns: for how long the relay stays awake before a packet is due.
        account: whether the shaper keeps an account of packets (the relay can).

    Attributes:
        layout: what was built.
        shaper: what makes its cables links; `shaper.told` says which and why.

    Raises:
        EmulationError: the layout is wrong, a program is missing, or the kernel refuses.
        ScenarioError: a field of a link is out of range.
    """

    def __init__(
        self,
        layout: Layout,
        folder: Path,
        shaper: str = "auto",
        sample_ns: int = 0,
        spin_ns: int = 0,
        account: bool = False,
    ) -> None:
        layout.check()
        links = [x for c in layout.shaped for x in (c.forward, c.backward) if x is not None]
        self.layout = layout
        self.shaper = choice.choose(shaper, links, folder, sample_ns, spin_ns, account)
        self._macs = {host: f"02:00:00:00:00:{i:02x}" for i, host in enumerate(layout.hosts, 1)}
        self._spare_macs = (f"02:00:00:01:{i >> 8:02x}:{i & 255:02x}" for i in itertools.count())
        self._net: Any = None
        self._nodes: dict[str, Any] = {}
        self._ports: dict[str, list[str]] = {}
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Network:
        """Build it."""
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Take it down."""
        self.close()

    def address(self, host: str) -> str:
        """Return the IPv4 address of a host."""
        return str(_SUBNET[self.layout.hosts.index(host) + 1])

    def popen(self, node: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a program on a host; it is killed at the end, if not before.

        Args:
            node: name of a host (or switch).
            argv: program and arguments.
            options: of `subprocess.Popen`; stdout and stderr are pipes by default. A session of
                its own is not possible.
        """
        process = self._launch(node, argv, **options)
        self._started.append(process)
        return process

    def _launch(self, node: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        if node not in self._nodes:
            raise EmulationError(f"no node {node!r}; there are {', '.join(self._nodes)}")
        return self._nodes[node].popen(list(argv), **({"text": True} | options))

    def run(
        self, node: str, argv: Sequence[str], timeout_s: float, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on a host to its end.

        Raises:
            EmulationError: it took longer than `timeout_s`, or it failed and `check` is set.
        """
        with self.popen(node, argv) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise EmulationError(f"{argv[0]} on {node} took over {timeout_s:g} s") from None
        self._started.remove(process)
        if check and process.returncode != 0:
            last = (err.strip() or out.strip() or "no message").splitlines()[-1]
            raise EmulationError(f"{argv[0]} on {node} ended with {process.returncode}: {last}")
        return subprocess.CompletedProcess(list(argv), process.returncode, out, err)

    def counters(self) -> dict[Key, Counters]:
        """Return the counters of all shaped cables' directions, as they are now."""
        return self.shaper.counters()

    def restart(self) -> None:
        """Set counters to 0; the relay's losses and capacity traces begin anew."""
        self.shaper.restart()

    def close(self) -> None:
        """Kill what still runs, end the shaper, take the nodes down."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
        self.shaper.stop()
        for process in self._started:
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        self._started.clear()
        if self._net is not None:
            self._net.stop()
            self._net = None

    def _build(self) -> None:
        mininet.load("log").setLogLevel("critical")
        module = mininet.load("net")
        self._net = module.Mininet(controller=None, build=False)
        for host in self.layout.hosts:
            self._add_node(host, f"{self.address(host)}/{_SUBNET.prefixlen}")
        for switch in self.layout.switches:
            self._add_node(switch)
        middles = [self._middle(i, cable) for i, cable in enumerate(self.layout.shaped)]
        for cable in self.layout.cables:
            if cable.forward is None:
                self._join(cable.left, cable.right)
        self._net.build()
        self._configure()
        self.shaper.start(self._launch, middles)

    def _add_node(self, name: str, address: str | None = None) -> None:
        self._nodes[name] = self._net.addHost(name, ip=address)
        self._ports[name] = []
        settings = f"{_SHORT_END}; {_QUIET} 2> /dev/null"
        self.run(name, ["bash", "-c", settings], _SETUP_S, check=False)

    def _middle(self, index: int, cable: Cable) -> Middle:
        node = self.shaper.node(index)
        if node not in self._nodes:
            self._add_node(node)
        left = self._join(cable.left, node)
        right = self._join(cable.right, node)
        assert cable.forward is not None
        assert cable.backward is not None
        name = f"{cable.left}-{cable.right}"
        seeds = loss_seeds(self.layout, cable)
        return Middle(name, node, left, right, cable.forward, cable.backward, seeds)

    def _join(self, one: str, other: str) -> str:
        """Join two nodes; return the name of the interface at the other."""
        names = []
        for node in (one, other):
            names.append(f"{node}-{len(self._ports[node])}")
            self._ports[node].append(names[-1])
        addresses = [self._macs.get(node) or next(self._spare_macs) for node in (one, other)]
        self._net.addLink(
            self._nodes[one],
            self._nodes[other],
            intfName1=names[0],
            intfName2=names[1],
            addr1=addresses[0],
            addr2=addresses[1],
        )
        return names[1]

    def _configure(self) -> None:
        for node, ports in self._ports.items():
            lines = [f"ip link set {port} up; ethtool -K {port} {_OFFLOADS}" for port in ports]
            if node in self.layout.switches:
                lines += [f"ip link add {node} type bridge {_BRIDGE}", f"ip link set {node} up"]
                lines += [f"ip link set {port} master {node}" for port in ports]
            if node in self.layout.hosts:
                others = [host for host in self.layout.hosts if host != node]
                lines += [
                    f"ip neigh replace {self.address(host)} lladdr {self._macs[host]} "
                    f"dev {ports[0]} nud permanent"
                    for host in others
                ]
            self.run(node, ["bash", "-ec", "\n".join(lines)], _SETUP_S)


def loss_seeds(layout: Layout, cable: Cable) -> tuple[int, int]:
    """Return the seeds of a cable's random losses, forward and backward."""
    identity = {"cable": f"{cable.left}-{cable.right}"}
    forward, backward = (
        int(streams.stream(layout.seed, identity | {"way": way}, "loss").integers(2**63))
        for way in ("forward", "backward")
    )
    return forward if cable.loss_seed is None else cable.loss_seed, backward
