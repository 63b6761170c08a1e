"""The kernel of Pcc-v1 and the general packet engine give the same monitor intervals, exactly."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.congestion.base import (
    CWND,
    DURING,
    INTERVAL,
    INTERVAL_NS,
    INTERVAL_PACKETS,
    OWN,
    PACING_BPS,
    SENT,
    STATE,
    Controller,
)
from policies.congestion.hooks import hook
from sim.net import luck
from sim.net.engine.run import Session
from sim.net.envs import pcc_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from sim.net.links import Bernoulli, Constant, DropTail, Link
from sim.net.result import SPURIOUS, TIMEOUTS, TOTALS
from sim.net.scenario import Flow, Scenario

STEPS = 60
WIDTH = len(INTERVAL)


@hook
def _init(state: Any, flow: Any, constants: Any) -> None:
    state[CWND] = np.inf
    state[INTERVAL_PACKETS] = constants[0]
    state[PACING_BPS], state[INTERVAL_NS] = constants[1], constants[2 + STEPS]


@hook
def _on_interval(state: Any, row: Any, constants: Any) -> None:
    count = int(state[OWN])
    if count < STEPS:
        for i in range(WIDTH):
            state[OWN + 1 + count * WIDTH + i] = row[i]
        state[OWN] = count + 1
        state[PACING_BPS], state[INTERVAL_NS] = constants[2 + count], constants[3 + STEPS + count]


class Replay(Controller):
    """Sets recorded rates and durations, one after the other, and records what it is told."""

    name = "replay"
    state = (*STATE, "count", *(f"row{i}" for i in range(STEPS * WIDTH)))
    recorded: ClassVar[Any] = None
    init, on_interval = _init, _on_interval

    @classmethod
    def constants(cls, parameters: Any) -> NDArray[np.float64]:
        return cls.recorded


def scenario_of(batch: Batch, attribution: str, duration_ns: int) -> Scenario:
    """Return the link and sender of a batch of one as the engine has them."""
    row = batch.state[0]
    link = Link(
        Constant(float(row["capacity_bps"])),
        int(row["delay"]),
        DropTail(packets=int(row["limit"])),
        Bernoulli(float(row["loss"])),
    )
    flow = Flow(Replay, packet_bytes=batch.config.packet_bytes, attribution=attribution)
    return Scenario((link,), (flow,), duration_ns, seed=7)


def kernel_rows(batch: Batch, spread: float, seed: int) -> tuple[Any, Any]:
    """Step the kernel; return its rows, and rates and durations as the engine's controller sets."""
    rows, rates, durations = [], [], [float(batch.state["planned"][0])]
    for action in np.random.default_rng(seed).uniform(-1, 1, STEPS) * spread:
        batch.step([[action]])
        rows.append(batch.state["row"][0].copy())
        rates.append(float(batch.state["rate"][0]))
        durations.append(float(batch.state["planned"][0]))
    return np.array(rows), np.array(
        [batch.config.interval_packets, *rates, rates[-1], *durations], np.float64
    )


CASES = {
    "pcc": {},
    "overload": {"start_share": (1.5, 3.0), "queue_log": (0.0, 3.0)},
    "few packets": {"start_share": (0.002, 0.02), "interval_packets": 2},
    "one packet": {"start_share": (0.001, 0.01), "interval_packets": 1, "loss": (0.2, 0.5)},
    "time-outs": {"loss": (0.6, 0.95), "start_share": (0.01, 0.1), "interval_packets": 3},
    "spurious": {"bandwidth_bps": (5e3, 1e4), "start_share": (2.0, 6.0), "delay_s": (0.01, 0.1)},
    "no minimum": {"interval_packets": 0, "start_share": (0.005, 0.5)},
    "fast": {"bandwidth_bps": (1e8, 1e9), "delay_s": (0.0005, 0.005), "queue_log": (3.0, 6.0)},
}


@pytest.mark.parametrize("attribution", [DURING, SENT])
@pytest.mark.parametrize("case", CASES)
def test_equal_intervals(case: str, attribution: str) -> None:
    features = ("latency slope", "latency ratio")
    totals = np.zeros(len(TOTALS), np.int64)
    for seed in range(6):
        config = EnvConfig(
            features=features, warmup_intervals=0, attribution=attribution, **CASES[case]
        )
        batch = Batch(pcc_kernel, config, 1)
        batch.seed(seed)
        pcc_kernel.start(batch.state, np.ones(1, np.bool_), batch.known)
        scenario = scenario_of(batch, attribution, 10)
        batch.state["losses"] = luck.seeds(scenario)["loss"]
        batch.finish_start()
        rows, Replay.recorded = kernel_rows(batch, 2.0 * (seed % 3), seed)
        last = int(rows[-1, 0]) + 1
        session = Session(scenario_of(batch, attribution, last))
        session.run_until(last)
        totals += session.result().totals[0]
        state = session.state(0)
        assert state[OWN] == STEPS
        told = state[OWN + 1 :].reshape(STEPS, WIDTH)
        for k in range(STEPS):
            for name, ours, engines in zip(INTERVAL, rows[k], told[k], strict=True):
                assert ours == engines or (np.isnan(ours) and np.isnan(engines)), (
                    f"{case}, seed {seed}, interval {k}: {name} {ours} != {engines}"
                )
    if case in ("one packet", "time-outs"):
        assert totals[TIMEOUTS] > 0
    if case == "spurious":
        assert totals[SPURIOUS] > 0
