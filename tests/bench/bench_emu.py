"""What an emulated link costs: the relay's share of one core, and how late packets are."""

from __future__ import annotations

from typing import Any

import pytest

from emu.world import run_private
from tests.needs import need_emulation

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
