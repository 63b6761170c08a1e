"""Flows on a network: started at their times, watched, ended, and what is left to tell of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emu.problems import EmulationError
from emu.topology.network import Network
from emu.traffic import iperf, sockets
from emu.traffic.controls import Control, Controls, Mode

WATCH_S = 0.25
_TURN_S = 0.02
_SPARE_S = 5.0
_MOST_BUFFER = 64 << 20
_AGENT_PRIORITY = 15


@dataclass(frozen=True)
class Flow:
    """One TCP flow from `s{i}` to `r{i}`.

    Attributes:
        name: in messages and tables.
        control: its congestion control.
        start_s: when it starts, s after the links begin anew.
    """

    name: str
    control: Control
    start_s: float = 0.0


@dataclass(frozen=True)
class Told:
    """What was told of a flow.

    Attributes:
        report: iperf3's; None: it did not end in time.
        samples: of its socket; times are s after the links began anew.
    """

    report: iperf.Report | None
    samples: tuple[sockets.Sample, ...]


def run(network: Network, flows: Sequence[Flow], seconds: float, folder: Path) -> list[Told]:
    """Run flows side by side, from the moment at which the links begin anew.

    Args:
        network: a dumbbell with as many pairs as flows, idle.
        flows: flow i goes from host `s{i + 1}` to `r{i + 1}`.
        seconds: how long, counted from that moment.
        folder: for files.

    Raises:
        EmulationError: a flow failed; the message names it.
    """
    with Controls([flow.control for flow in flows]) as controls:
        for index, flow in enumerate(flows):
            prepare(network, index, flow.control.mode)
        servers = [network.popen(f"r{i + 1}", iperf.server()) for i in range(len(flows))]
        for server in servers:
            wait_for(server)
        with _watched(network, len(flows), folder) as watched, _priority(controls.asks):
            began = time.time()
            network.restart()
            clients = _clients(network, flows, seconds, controls)
        reports = [
            report_of(client, flow.name) for client, flow in zip(clients, flows, strict=True)
        ]
        for server in servers:
            server.kill()
        if controls.missed:
            raise EmulationError(
                f"{controls.missed} of {controls.records} records of the datapath were not read in "
                "time; the machine is too busy"
            )
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in watched]
    return [
        Told(report, _since(sockets.parse(text), began))
        for report, text in zip(reports, texts, strict=True)
    ]


def _clients(
    network: Network, flows: Sequence[Flow], seconds: float, controls: Controls
) -> list[subprocess.Popen[str]]:
    """Start every client at its time, serve the datapaths until the end, end the clients."""
    began = time.monotonic()
    clients: dict[int, subprocess.Popen[str]] = {}
    while (now := time.monotonic() - began) < seconds:
        for index, flow in enumerate(flows):
            if index not in clients and flow.start_s <= now:
                name = controls.name(flow.control)
                left = seconds - flow.start_s + _SPARE_S
                command = iperf.client(network.address(f"r{index + 1}"), name, left)
                clients[index] = network.popen(f"s{index + 1}", command)
        if controls.asks:
            controls.serve(_TURN_S)
        else:
            time.sleep(_TURN_S)
        for index, client in clients.items():
            if client.poll() is not None:
                report_of(client, flows[index].name)
                raise EmulationError(f"flow {flows[index].name!r} ended before its time")
    for client in clients.values():
        with contextlib.suppress(ProcessLookupError):
            client.send_signal(signal.SIGINT)
    return [clients[index] for index in range(len(flows))]


def report_of(client: subprocess.Popen[str], name: str) -> iperf.Report | None:
    """Return what a client printed; None if it does not end."""
    try:
        out, err = client.communicate(timeout=3.0)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        return None
    return iperf.parse(out or err, f"flow {name!r}")


def prepare(network: Network, index: int, mode: Mode = "kernel") -> None:
    """Let buffers grow beyond any path here, none is to be the bottleneck; pace packet by packet.

    Linux sends at least two packets at once, and more where the RTT is below some 3 ms. A
    rate-based sender of the simulator sends one; the kernel's own controllers stay as they are.
    """
    sizes = f"4096 131072 {_MOST_BUFFER}"
    for host in (f"s{index + 1}", f"r{index + 1}"):
        lines = [f"echo '{sizes}' > /proc/sys/net/ipv4/tcp_{way}mem" for way in "rw"]
        if host[0] == "s" and mode != "kernel":
            lines.append("echo 1 > /proc/sys/net/ipv4/tcp_min_tso_segs")
            lines.append("echo 0 > /proc/sys/net/ipv4/tcp_tso_rtt_log")
        network.run(host, ["bash", "-ec", "; ".join(lines)], 10.0)


@contextlib.contextmanager
def _watched(network: Network, count: int, folder: Path) -> Iterator[list[Path]]:
    """Sample the sockets of all senders into a file each."""
    paths = [folder / f"sockets-{i}.txt" for i in range(count)]
    watchers = []
    with contextlib.ExitStack() as files:
        for i, path in enumerate(paths):
            command = sockets.watcher(network.address(f"r{i + 1}"), WATCH_S)
            file = files.enter_context(path.open("w", encoding="utf-8"))
            watchers.append(network.popen(f"s{i + 1}", command, stdout=file))
        try:
            yield paths
        finally:
            for watcher in watchers:
                watcher.kill()
                watcher.wait()


@contextlib.contextmanager
def _priority(wanted: bool) -> Iterator[None]:
    """Answer the kernel before other programs get their turn; what is started does not inherit."""
    if not wanted:
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    priority = os.sched_param(_AGENT_PRIORITY)
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, priority)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def wait_for(server: subprocess.Popen[str]) -> None:
    """Read what a server prints until it says that it listens; it may print a rule before."""
    assert server.stdout is not None
    for line in server.stdout:
        if iperf.LISTENING in line:
            return
    _, err = server.communicate()
    said = (err.strip() or "nothing").splitlines()[-1]
    raise EmulationError(f"an iperf3 server ended, saying: {said[:200]}")


def _since(samples: Sequence[sockets.Sample], began: float) -> tuple[sockets.Sample, ...]:
    found = (replace(sample, time_s=sample.time_s - began) for sample in samples)
    return tuple(sample for sample in found if sample.time_s >= 0.0)
