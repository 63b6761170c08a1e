"""What tests run inside private worlds; each is called with (request, note)."""

from __future__ import annotations

from emu.topology.layout import dumbbell
from emu.topology.network import Network
from emu.world.inside import folder
from sim.net.links import Constant, DropTail, Link


def ping(request, note):
    import time
    link = Link(Constant(1e7), 10_000_000, DropTail(packets=20))
    t = time.time()
    with Network(dumbbell(2, link), folder(), "relay") as net:
        note(["up", time.time() - t, net.shaper.told, net.shaper.realtime])
        t = time.time()
        done = net.run("s1", ["ping", "-c", "20", "-i", "0.02", net.address("r1")], 10)
        note([net.run("s1", ["ping", "-c", "1", net.address("r2")], 10).returncode, time.time() - t])
        note({str(k): repr(v) for k, v in net.counters().items()})
        t = time.time()
    note(["down", time.time() - t])
    return done.stdout
