"""`congestion-emulated`: one definition of the metrics, and what cannot be emulated is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emu.relay.account import RECORD
from emu.relay.lane import DELIVER, DROPPED, LOST
from experiments.kinds import congestion_measures as measures
from experiments.kinds.base import KINDS
from experiments.kinds.congestion_account import as_result
from experiments.kinds.congestion_agreement import KNOWN, compared
from experiments.kinds.congestion_config import CongestionConfig
from experiments.kinds.congestion_emulated import KERNEL
from experiments.kinds.congestion_scenario import scenario_of
from policies.congestion.base import CONTROLLERS
from sim.net import result as r
from sim.net.engine import simulate

KIND = KINDS.get("congestion-emulated")
SMALL: dict[str, Any] = {
    "duration_s": 8.0,
    "warmup_s": 2.0,
    "queue": {"kind": "drop_tail", "kb": 60.0},
}
SITUATIONS: dict[str, dict[str, Any]] = {
    "cubic": {},
    "reno": {"loss": {"kind": "bernoulli", "p": 0.004}},
    "bbr": {"competitors": [{"policy": "cubic", "start_s": 1.0}]},
    "vivace": {
        "capacity": {"kind": "steps", "at_s": [0.0, 3.0, 6.0], "mbps": [10.0, 20.0, 10.0]},
        "extra_rtt_ms": [0.0, 20.0],
        "flows": 2,
    },
}


def account_of(found: r.Result) -> NDArray[np.void]:
    """Return what a relay would have entered of a simulated run, in order of arrival."""
    trace = found.trace
    assert trace is not None
    packets = {}
    for event in trace[np.argsort(trace["kind"], kind="stable")]:
        key = int(event["flow"]), int(event["number"])
        if event["kind"] == r.T_SEND:
            packets[key] = [int(event["time_ns"]), 0, 2**62, DELIVER]
        elif event["kind"] == r.T_DROP:
            packets[key][3] = LOST if event["value"] % 8 == 0 else DROPPED
        elif event["kind"] == r.T_DELIVER:
            packets[key][1:3] = int(event["value"]), int(event["time_ns"])
    rows = np.zeros(len(packets), RECORD)
    for row, ((flow, number), packet) in zip(rows, packets.items(), strict=True):
        row["arrival_ns"], row["wait_ns"], row["deliver_ns"], row["verdict"] = packet
        row["source"], row["port"], row["sequence"] = 100 + flow, 5001, number
        row["bytes"], row["payload"] = 1514, 1448
    return rows[np.argsort(rows["arrival_ns"], kind="stable")]


@pytest.mark.parametrize("policy", list(SITUATIONS))
def test_both_kinds_measure_alike(policy: str) -> None:
    """The account of a simulated run gives the metrics that the simulator gives."""
    config = CongestionConfig.model_validate({**SMALL, **SITUATIONS[policy]})
    scenario = scenario_of(config, policy, 3)
    simulated = simulate(scenario, trace=True)
    sources = [100 + i for i in range(len(scenario.flows))]
    counted = as_result(scenario, account_of(simulated), sources)
    counted.check_accounts()
    wanted, found = (measures.metrics(config, one) for one in (simulated, counted))
    assert wanted["sent_packets"] > 1000
    for name in ("timeouts", "mean_rtt_ms"):  # by the sender; here by the kernel and by packets
        del wanted[name], found[name]
    assert {k for k, v in found.items() if v is None} == {k for k, v in wanted.items() if v is None}
    known = {name: value for name, value in wanted.items() if value is not None}
    assert {name: found[name] for name in known} == pytest.approx(known, rel=1e-12)
    np.testing.assert_array_equal(counted.series, simulated.series)
    np.testing.assert_array_equal(counted.waits, simulated.waits)


def test_mean_round_trips_are_those_of_acks() -> None:
    config = CongestionConfig.model_validate(SMALL)
    simulated = simulate(scenario_of(config, "cubic", 0), trace=True)
    counted = as_result(simulated.scenario, account_of(simulated), [100])
    wanted, found = (measures.metrics(config, one) for one in (simulated, counted))
    assert found["mean_rtt_ms"] == pytest.approx(wanted["mean_rtt_ms"], rel=0.01)


def test_data_that_had_arrived_does_not_count_again() -> None:
    config = CongestionConfig.model_validate(SMALL)
    simulated = simulate(scenario_of(config, "cubic", 0), trace=True)
    rows = account_of(simulated)
    again = rows.copy()
    again["arrival_ns"] += 1
    both = np.concatenate([rows, again])
    both = both[np.argsort(both["arrival_ns"], kind="stable")]
    once, twice = (as_result(simulated.scenario, part, [100]) for part in (rows, both))
    assert twice.goodput_bps() == pytest.approx(once.goodput_bps(), rel=0.01)
    assert twice.totals[0, r.SENT] == 2 * once.totals[0, r.SENT]


def test_iperfs_connection_for_control_is_left_out() -> None:
    config = CongestionConfig.model_validate(SMALL)
    simulated = simulate(scenario_of(config, "cubic", 0), trace=True)
    rows = account_of(simulated)
    control = rows[:5].copy()
    control["port"], control["arrival_ns"], control["payload"] = 5000, 0, 37
    found = as_result(simulated.scenario, np.concatenate([control, rows]), [100])
    assert (
        found.totals[0].tolist()[: r.TIMEOUTS]
        == (as_result(simulated.scenario, rows, [100]).totals[0].tolist()[: r.TIMEOUTS])
    )
    assert found.scenario.flows[0].start_ns == int(rows["arrival_ns"][0])


def test_a_flow_that_sent_nothing_is_named() -> None:
    scenario = scenario_of(CongestionConfig.model_validate(SMALL), "bbr", 0)
    with pytest.raises(ValueError, match=r"^flow 'bbr 1' \(bbr\) sent nothing"):
        as_result(scenario, np.zeros(0, RECORD), [7])


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("jitter_ms", 1.0, "jitter_ms: must be 0.0, for the relay has no jitter"),
        ("packet_bytes", 1000, "packet_bytes: must be 1514"),
        ("ack_every", 2, "ack_every: must be 1, for the kernel decides"),
        ("queue", {"kind": "codel", "packets": 5}, "queue: must be drop_tail"),
        ("parameters", {"cubic": {"beta": 0.5}}, "parameters: cubic is the kernel's own"),
    ],
)
def test_what_cannot_be_emulated_is_refused(field: str, value: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        KIND.Config.model_validate({field: value})


def cell(**values: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("loss", "convergence_s", "timeouts", "queue_delay_p95_ms"))
    return {"utilisation": 0.9, "mean_rtt_ms": 40.0, "queue_delay_ms": 10.0, **plain, **values}


@pytest.mark.parametrize(
    ("emulated", "agrees"),
    [
        ({}, (1, 1, 1, 1)),
        ({"utilisation": 0.951}, (0, 0, 1, 1)),
        ({"utilisation": 0.851, "mean_rtt_ms": 45.9}, (1, 1, 1, 1)),
        ({"mean_rtt_ms": 46.1, "queue_delay_ms": 16.1}, (0, 1, 0, 0)),
        ({"mean_rtt_ms": 42.0, "queue_delay_ms": 12.0}, (1, 1, 1, 0)),
        ({"mean_rtt_ms": None, "queue_delay_ms": None}, (0, 1, 0, 0)),
    ],
)
def test_agreement(emulated: dict[str, Any], agrees: tuple[int, ...]) -> None:
    found = compared(cell(**emulated), cell())
    names = ("agrees", "utilisation_agrees", "delay_agrees", "queueing_agrees")
    assert tuple(found[name] for name in names) == agrees
    assert set(found) == set(KINDS.get("congestion-agreement").metrics)


def test_what_only_the_simulator_is_told_is_for_the_kernel_s_own() -> None:
    """Whoever is the kernel's own takes no parameters there, so none are given twice."""
    assert set(KNOWN) <= set(KERNEL)
    for name, parameters in KNOWN.items():
        CONTROLLERS.get(name).constants(parameters)
        with pytest.raises(ValueError, match=f"{name} is the kernel's own, it takes none"):
            KINDS.get("congestion-agreement").Config.model_validate({"parameters": {name: {}}})
