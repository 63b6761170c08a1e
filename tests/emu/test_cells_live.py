"""One cell for each way in which a flow can be controlled, with real packets."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.datapath import machine
from experiments.kinds.base import KINDS, Outcome
from tests.needs import need, need_datapath, need_emulation

pytestmark = [pytest.mark.root, pytest.mark.extensive]
KIND = KINDS.get("congestion-emulated")
CEILING = 1448 / 1514
BASE: dict[str, Any] = {
    "capacity": {"kind": "constant", "mbps": 10.0},
    "rtt_ms": 20.0,
    "queue": {"kind": "drop_tail", "packets": 40},
    "duration_s": 4.0,
    "warmup_s": 1.0,
    "bin_s": 0.25,
}


@pytest.fixture(autouse=True)
def emulation() -> None:
    need_emulation()
    need_datapath()
    need("iperf3")


def run(policy: str, **changes: Any) -> Outcome:
    config = KIND.Config.model_validate({**BASE, **changes}).model_dump(mode="json")
    before = loaded()
    outcome = KIND.run({**config, "policy": policy, "seed": 1})
    assert set(outcome.metrics) == set(KIND.metrics)
    check_taken_back(before)
    return outcome


def loaded() -> set[str]:
    return {name for name in machine.available() if name.startswith("tri_e")}


def check_taken_back(before: set[str]) -> None:
    """Check that no name came to stay; other emulations may load and unload theirs meanwhile."""
    new, end = loaded() - before, time.monotonic() + 60.0
    while new and time.monotonic() < end:
        time.sleep(0.5)
        new &= loaded()
    assert not new


def check_sound(outcome: Outcome, least: float) -> dict[str, Any]:
    """Check what holds whoever controls, and return the metrics."""
    found: dict[str, Any] = dict(outcome.metrics)
    assert least < found["utilisation"] <= CEILING + 1e-3
    assert 0.0 <= found["queue_delay_ms"] <= found["queue_delay_p95_ms"] + 1.0
    assert found["queue_delay_p95_ms"] <= 1.04 * 40 * 1.2112
    assert found["mean_rtt_ms"] >= 20.0 + found["queue_delay_ms"]
    # The kernel's own clock sees what packets met, and what hosts add: ACKs may wait 40 ms.
    assert 0.9 * found["mean_rtt_ms"] < found["sender_rtt_ms"] < found["mean_rtt_ms"] + 25.0
    columns = outcome.tables["over_time"]
    rows = zip(columns["name"], columns["start_s"], columns["goodput_mbps"], strict=True)
    warm = [rate for name, start, rate in rows if name != "link" and start >= 1.0]
    assert np.mean(warm) == pytest.approx(found["goodput_mbps"], rel=0.02)
    return found


def test_the_kernels_own() -> None:
    """CUBIC fills the queue, loses to it, and never leaves the link idle."""
    found = check_sound(run("cubic"), 0.9)
    assert found["queue_loss"] == found["loss"] > 0.0
    assert found["retransmits"] > 0


def test_a_rule_in_the_kernel_beside_cubic() -> None:
    outcome = run("symbolic", competitors=[{"policy": "cubic"}], duration_s=5.0)
    found: dict[str, Any] = dict(outcome.metrics)
    assert 0.8 < found["utilisation"] <= CEILING + 1e-3
    assert 0.0 < found["policy_utilisation"] < found["utilisation"]
    assert found["jain"] is not None


def test_an_agent_and_random_loss() -> None:
    """A fixed rate of 6 Mbit/s: what arrives is that rate less the loss, and no queue stands.

    A sender that is paced packet by packet never fills a queue that serves faster.
    """
    loss = {"kind": "bernoulli", "p": 0.02}
    rate = {"fixed": {"rate_bps": 6e6}}
    outcome = run("fixed", loss=loss, parameters=rate)
    found: dict[str, Any] = dict(outcome.metrics)
    assert found["goodput_mbps"] == pytest.approx(6.0 * 0.98 * CEILING, rel=0.05)
    assert 0.003 < found["loss"] < 0.05
    assert found["queue_loss"] == 0.0
    assert found["queue_delay_ms"] < 1.0


def test_what_was_started_is_gone() -> None:
    """No process of a world outlives its run."""
    ours = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            ours += [words] if b"emu.world.inside" in words and parent == os.getpid() else []
    assert not ours
