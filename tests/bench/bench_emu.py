"""What emulation costs: the relay's share of one core, a rule's time per ACK in the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from emu.cost import summary
from emu.world import run_private
from tests.needs import need, need_datapath, need_emulation

SECONDS = 5.0
LATE_P99_NS = 300_000


class CpuClock:
    """A clock that advances by the CPU share of each run, so that "seconds" are shares."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the sum of the shares so far."""
        return self.now

    def run(self, shaper: str) -> dict[str, Any]:
        """Relay 95 Mbit/s for some seconds over a link of 100."""
        request = {"seconds": SECONDS, "shaper": shaper, "spin_ns": 0}
        found = run_private("tests.emu.worlds:worked", request, timeout_s=60)
        self.now += found["cpu_share"]
        return found


CLOCK = CpuClock()


@pytest.mark.bench("emu/relay_cpu", unit="core", better="lower")
@pytest.mark.benchmark(timer=CLOCK)
def test_relay_cpu(measure) -> None:
    """The C relay at 7,800 packets/s: every packet arrives; P99 of lateness in the best round."""
    need_emulation()
    rounds: list[dict[str, Any]] = []
    measure(lambda: rounds.append(CLOCK.run("relay-c")), rounds=3)
    assert all(found["received"] == found["sent"] for found in rounds)
    assert min(found["late_p99_ns"] for found in rounds) < LATE_P99_NS
    assert min(found["cpu_share"] for found in rounds) < 0.5


@pytest.mark.bench("emu/relay_cpu", unit="core", better="lower", side="the Python relay")
@pytest.mark.benchmark(timer=CLOCK)
def test_relay_cpu_peer(measure) -> None:
    need_emulation()
    measure(lambda: CLOCK.run("relay-python"), rounds=3)


class AckClock:
    """A clock that advances by what an ACK of somebody costs in each run, s."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the sum of the costs so far."""
        return self.now

    def run(self, metric: str) -> None:
        """Time everybody in turn over a link of 100 Mbit/s and 20 ms."""
        need_emulation()
        need_datapath()
        need("iperf3")
        request = {
            **{"policy": "symbolic_branched", "parameters": {"start_bps": 9e7}},
            **{"mbps": 100.0, "rtt_ms": 20.0, "rounds": 1, "settle_s": 0.5, "watch_s": 1.0},
        }
        found = run_private("emu.cost.per_ack:inside", request, timeout_s=120)
        self.now += summary.per_ack(found["turns"])[metric] / 1e9


ACK_CLOCK = AckClock()


@pytest.mark.bench("emu/ack_cost", unit="s", better="lower")
@pytest.mark.benchmark(timer=ACK_CLOCK)
def test_ack_cost(measure) -> None:
    """The branched rule's callbacks, per ACK."""
    measure(lambda: ACK_CLOCK.run("rule_ack_ns"), rounds=3)


@pytest.mark.bench("emu/ack_cost", unit="s", better="lower", side="eBPF that calls kernel CUBIC")
@pytest.mark.benchmark(timer=ACK_CLOCK)
def test_ack_cost_peer(measure) -> None:
    measure(lambda: ACK_CLOCK.run("cubic_ack_ns"), rounds=3)
