"""What tests run inside private worlds: each function is called with (request, note)."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import asdict
from typing import Any

from emu.measure.asked import FRAME_BYTES, asked
from emu.measure.check import BRIEF, check, flow, ping
from emu.problems import EmulationError
from emu.relay.lane import Lane
from emu.shapers.relay import RelayShaper
from emu.topology.layout import dumbbell, parking_lot
from emu.topology.network import Network
from emu.world.inside import folder
from sim.net.links import Bernoulli, Constant, DropTail, Link, Stepped

MS = 1_000_000
ANY = 10**6  # packets that a sender may send at once


def link(mbps: float, one_way_ms: float, packets: int, **more: Any) -> Link:
    """Return a drop-tail link."""
    return Link(Constant(mbps * 1e6), round(one_way_ms * MS), DropTail(packets=packets), **more)


def counted(network: Network, cable: str = "left-right") -> dict[str, Any]:
    """Return the counters of a cable's way forward."""
    return asdict(network.counters()[cable, "forward"])


def measured(request, note):
    """Build a dumbbell, measure it, overload it; return the check and the counts."""
    link_of_it = link(request["mbps"], request["one_way_ms"], request["packets"])
    with Network(dumbbell(2, link_of_it), folder(), request["shaper"]) as net:
        told = check(net, "s2", "r2")
        rate = 2.0 * link_of_it.least_bps
        count = round(rate / 8 / FRAME_BYTES)
        seen = flow(net, "s1", "r1", rate, count, ANY)
        return {"told": net.shaper.told, "check": told, "seen": seen, "counted": counted(net)}


def refused(request, note):
    """Build a link and ask for others; return the message of each refusal, or None."""
    built = link(10, 5, 20)
    wanted = {
        "as built": built,
        "delay": link(10, 15, 20),
        "rate": link(12, 5, 20),
        "queue": link(10, 5, 60),
        "loss": link(10, 5, 20, loss=Bernoulli(0.2)),
    }
    found, effort = {}, BRIEF if request["brief"] else None
    with Network(dumbbell(1, built), folder(), "relay") as net:
        for name, other in wanted.items():
            try:
                path = asked(dumbbell(1, other), "s1", "r1")
                check(net, "s1", "r1", path, effort=effort)
                found[name] = None
            except EmulationError as error:
                found[name] = str(error)
    return found


def lossy(request, note):
    """Send packets through random loss at a part of the capacity."""
    layout = dumbbell(1, link(50, 5, 1000, loss=Bernoulli(request["p"])), seed=request["seed"])
    with Network(layout, folder(), request["shaper"]) as net:
        seen = flow(net, "s1", "r1", 2e7, request["count"], ANY)
        return {"seen": seen, "counted": counted(net)}


def sampled(request, note):
    """Overload a slow link with a short queue and sample its length; then restart."""
    with Network(dumbbell(1, link(2, 1, 50)), folder(), "relay", sample_ns=MS) as net:
        flow(net, "s1", "r1", 8e6, 700, ANY)
        samples = net.shaper.queues()  # type: ignore[attr-defined]
        before = counted(net)
        net.restart()
        return {"samples": samples, "before": before, "after": counted(net)}


def varied(request, note):
    """Overload a link whose capacity changes, for some of its periods."""
    capacity = Stepped((0, 150 * MS), (8e6, 4e6), 300 * MS)
    with Network(dumbbell(1, Link(capacity, MS, DropTail(packets=20))), folder(), "relay") as net:
        net.restart()
        return flow(net, "s1", "r1", 1.6e7, 2400, ANY)


def lot(request, note):
    """Build a parking lot of three hops; ping along each path, measure the long one."""
    hops = [link(20, 2, 40), link(10, 3, 40), link(40, 5, 40)]
    with Network(parking_lot(hops), folder(), "relay") as net:
        rtts = {i: ping(net, f"s{i}", f"r{i}", 1e7) for i in range(4)}
        net.restart()
        ping(net, "s2", "r2", 1e7)
        crossed = {name: counted(net, name) for name in ("w0-w1", "w1-w2", "w2-w3")}
        return {"rtts": rtts, "crossed": crossed, "check": check(net, "s0", "r0")}


def worked(request, note):
    """Load a 100 Mbit/s link to 95 % for some seconds; return the relay's CPU and its lateness.

    Lateness: of each packet, when it arrived less when the link says that it should have, given
    the times at which all were sent.
    """
    built = link(100, 10, 1000)
    count = round(request["seconds"] * 0.95e8 / 8 / FRAME_BYTES)
    rows = folder() / "rows"
    with Network(
        dumbbell(1, built), folder(), request["shaper"], spin_ns=request["spin_ns"]
    ) as net:
        shaper = net.shaper
        assert isinstance(shaper, RelayShaper)
        before = shaper.cpu_s()
        seen = flow(net, "s1", "r1", 0.95e8, count, ANY, rows)
        lane, late = Lane(built, 0), []
        for _, sent, received in json.loads(rows.read_text()):
            late.append(received - lane.arrive(sent, FRAME_BYTES)[1])
        seen["cpu_share"] = (shaper.cpu_s() - before) / seen["seconds"]
        seen["late_p99_ns"] = sorted(late)[round(0.99 * (len(late) - 1))]
        return seen | {"counted": counted(net)}


def kernel_rate(request, note):
    """Build a pure-rate bottleneck by the kernel's shaper."""
    with Network(dumbbell(1, link(10, 0, 20)), folder(), request) as net:
        return {"told": net.shaper.told, "check": check(net, "s1", "r1"), "counted": counted(net)}


def built(request, note):
    """Build a dumbbell with that shaper, say which it is, and end."""
    with Network(dumbbell(1, link(10, 5, 20)), folder(), request) as net:
        return net.shaper.told


def busy(request, note):
    """Build a dumbbell with programs that never end, say so, and wait for the worst."""
    subprocess.Popen(["sleep", "1000"])
    (folder() / "file").write_text("gone with the world")
    with Network(dumbbell(2, link(10, 5, 20)), folder(), "relay") as net:
        net.popen("s1", ["sleep", "1000"])
        note("built")
        time.sleep(1000)


def chatty(request, note):
    """Print where only JSON lines may be, by ourselves and by a program."""
    print("not JSON")
    subprocess.run(["bash", "-c", "echo neither; cat /proc/self/status > /dev/null"], check=True)
    note({"asked": request})
    return os.getpid()


def crashes(request, note):
    """End without an answer."""
    os.write(2, b"first\nthe last words\n")
    os._exit(3)
