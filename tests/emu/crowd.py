"""Many flows under one datapath at once, inside a private world."""

from __future__ import annotations

import os
from typing import Any

from emu.datapath.decision import compiled
from emu.datapath.leftovers import held_by
from emu.datapath.loading import Datapath, under_free_name
from emu.datapath.records import BEGAN, ENDED, INTERVAL
from emu.datapath.settings import Settings
from emu.topology.layout import dumbbell
from emu.topology.network import Network
from emu.traffic import iperf
from emu.traffic.flows import prepare, wait_for
from emu.world.inside import folder
from policies.congestion.base import CONTROLLERS
from sim.net.links import Constant, DropTail, Link

LINK = Link(Constant(5e7), 10_000_000, DropTail(packets=400))
FIELDS = ("flow", "kind", "id", "sent", "acked", "lost", "start_us", "end_us", "rate_bps")
_TURN_MS = 20


def crowd(request: dict[str, Any], note: Any) -> dict[str, Any]:
    """Run `flows` connections side by side for `seconds` under a rule; return all records.

    Returns:
        `records`, rows of FIELDS; `missed`; `delivered_bytes` of frames at the bottleneck;
        `held`, what the datapath held in the kernel; `streams` that iperf3 reported.
    """
    del note
    decision = compiled(CONTROLLERS.get("symbolic").rule)
    start = {"start_bps": LINK.least_bps / request["flows"]}

    def load(name: str) -> Datapath:
        return Datapath(Settings(name, start), decision)

    with (
        under_free_name("tri_m", load) as datapath,
        Network(dumbbell(1, LINK), folder()) as network,
    ):
        prepare(network, 0, "rule")
        server = network.popen("r1", iperf.server())
        wait_for(server)
        network.restart()
        name, count = datapath.settings.name, str(request["flows"])
        command = iperf.client(network.address("r1"), name, request["seconds"], ["-P", count])
        client = network.popen("s1", command, stdout=(folder() / "report").open("w"))
        records = []
        while client.poll() is None:
            records += datapath.poll(_TURN_MS)
        server.kill()
        server.wait()
        for _ in range(10):
            records += datapath.poll(_TURN_MS)
        told = iperf.parse((folder() / "report").read_text(), "crowd")
        return {
            "records": [[int(record[field]) for field in FIELDS] for record in records],
            "kinds": {"began": BEGAN, "interval": INTERVAL, "ended": ENDED},
            "missed": datapath.missed,
            "delivered": network.counters()["left-right", "forward"].delivered,
            "congestion": [told.congestion, name],
            "held": sorted(held_by(os.getpid())),
        }
