"""Real packets through emulated links, as root.

What virtual time decides (rates, drops, losses, queues) is judged strictly, also on a busy machine;
when packets arrive only with generous bounds. The benchmark `emu/relay_cpu` has the strict ones.
"""

from __future__ import annotations

from typing import Any

import pytest

from emu.measure.asked import FRAME_BYTES
from emu.problems import EmulationError
from emu.relay.lane import LOST, Lane
from emu.topology.layout import dumbbell
from emu.topology.network import loss_seeds
from emu.world import run_private
from experiments.doctor import capability
from sim.net.links import Bernoulli
from tests.emu import worlds
from tests.needs import need_emulation

pytestmark = [pytest.mark.root, pytest.mark.extensive]
WORLDS = "tests.emu.worlds"


@pytest.fixture(autouse=True)
def emulation():
    need_emulation()


def inside(function: str, request: object = None) -> Any:
    return run_private(f"{WORLDS}:{function}", request, timeout_s=100)


def conserved(counted: dict) -> bool:
    fates = ("lost", "dropped", "delivered", "failed", "held")
    return counted["in_packets"] == sum(counted[name] for name in fates)


@pytest.mark.parametrize(
    ("mbps", "shaper"), [(10.0, "relay-c"), (100.0, "relay-c"), (10.0, "relay-python")]
)
def test_dumbbell_is_what_was_asked(mbps, shaper):
    request = {"mbps": mbps, "one_way_ms": 10.0, "packets": round(2 * mbps), "shaper": shaper}
    for _ in range(3):  # a sender that gets no turn for longer than the queue lasts is too slow
        found = inside("measured", request)
        check, seen, counted = found["check"], found["seen"], found["counted"]
        rates = [check["measured"]["rate_bps"], seen["rate_bps"]]
        assert max(rates) < 1.005 * mbps * 1e6
        if min(rates) > 0.995 * mbps * 1e6:
            break
    assert rates == pytest.approx([mbps * 1e6] * 2, rel=0.005)
    assert ("Python" in found["told"]) == (shaper == "relay-python")
    assert check["measured"]["rtt_ns"] >= check["asked"]["rtt_ns"]
    assert check["measured"]["probe_delay_p99_ns"] < 10e6 + 30e6
    assert (counted["missed"], counted["oversized"], counted["lost"]) == (0, 0, 0)
    assert conserved(counted)
    assert counted["in_packets"] == seen["sent"]
    assert counted["delivered"] == seen["received"]
    assert counted["delivered_bytes"] == FRAME_BYTES * seen["received"]
    assert seen["reordered"] == seen["duplicates"] == 0
    assert counted["dropped"] > 0.4 * seen["sent"]


@pytest.mark.parametrize("brief", [False, True])
def test_what_is_not_as_asked_is_refused(brief):
    for _ in range(3):  # a machine that is too busy is refused as well, with another message
        found = inside("refused", {"brief": brief})
        if not any("too busy" in (text or "") for text in (found["as built"], found["loss"])):
            break
    assert found.pop("as built") is None
    said = {
        "delay": r"asked for an RTT of 30\.2 ms, measured 1\d.* did not take hold",
        "rate": r"asked for 12 Mbit/s, measured 10; another link is slower",
        "queue": r"asked for a queue of 72\.7 ms, measured 2\d.* ms; the queue limit did not",
        "loss": r"asked for 20 % loss, measured 0 of \d+; the random loss did not take hold",
    }
    for name, pattern in said.items():
        with pytest.raises(EmulationError, match=pattern):
            raise EmulationError(found[name])


def test_losses_are_those_of_the_seed():
    request = {"p": 0.05, "seed": 11, "count": 2000, "shaper": "relay-c"}
    found = inside("lossy", request)
    layout = dumbbell(1, worlds.link(50, 5, 1000, loss=Bernoulli(0.05)), seed=11)
    (cable,) = layout.shaped
    seed = loss_seeds(layout, cable)[0]
    assert cable.forward is not None
    lane = Lane(cable.forward, seed)
    lost = sum(lane.arrive(i, FRAME_BYTES)[0] == LOST for i in range(2000))
    assert found["counted"]["lost"] == lost
    assert found["seen"]["received"] == 2000 - lost
    assert 60 < lost < 145


def test_queue_limit_is_exact_and_restart_forgets():
    found = inside("sampled")
    waiting = [sample["waiting"][0] for sample in found["samples"]]
    assert max(packets for packets, _ in waiting) == 50
    assert max(in_bytes for _, in_bytes in waiting) == 50 * FRAME_BYTES
    assert conserved(found["before"])
    assert found["before"]["dropped"] > 0
    assert found["after"]["in_packets"] == 0


def test_capacity_follows_its_trace():
    seen = inside("varied")
    assert seen["rate_bps"] == pytest.approx(6e6, rel=0.02)
    assert seen["reordered"] == 0


def test_parking_lot_is_connected_as_drawn():
    found = inside("lot")
    one_way_ms = {"0": 10.0, "1": 2.0, "2": 3.0, "3": 5.0}
    for path, ms in one_way_ms.items():
        assert 2e6 * ms <= found["rtts"][path] < 2e6 * ms + 10e6
    pinged = {name: counted["in_packets"] for name, counted in found["crossed"].items()}
    assert pinged == {"w0-w1": 0, "w1-w2": 20, "w2-w3": 0}
    assert found["check"]["measured"]["rate_bps"] == pytest.approx(1e7, rel=0.005)


def test_pure_rate_needs_no_netem():
    found = inside("kernel_rate", "auto")
    assert "traffic control" in found["told"]
    assert found["check"]["measured"]["rate_bps"] == pytest.approx(1e7, rel=0.01)


def test_netem_is_used_where_the_kernel_has_it_and_refused_in_one_line_otherwise():
    if capability("netem").present:
        assert "traffic control" in inside("built", "auto")
        request = {"mbps": 10.0, "one_way_ms": 10.0, "packets": 20, "shaper": "kernel"}
        assert inside("measured", request)["counted"]["delivered"] > 0
    else:
        assert inside("built", "auto") == "link relay in C (the kernel has no netem)"
        with pytest.raises(EmulationError, match=r"kernel refuses `tc .*; without netem use the"):
            inside("built", "kernel")
