"""The run kind `congestion-link` through its public contract."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from experiments.fingerprint import closure
from experiments.kinds.base import KINDS, Outcome
from experiments.kinds.congestion_config import CongestionConfig
from experiments.kinds.congestion_scenario import identity_of, scenario_of
from policies.congestion.base import CONTROLLERS
from sim.net.problems import PolicyError, ScenarioError
from sim.net.scenario import Flow
from sim.streams import canonical_json

KIND = KINDS.get("congestion-link")
SMALL = {"duration_s": 6.0, "warmup_s": 2.0, "capacity": {"kind": "constant", "mbps": 10.0}}
STEPS = {"kind": "steps", "at_s": [0.0, 3.0], "mbps": [5.0, 10.0]}


def settle(**changes: Any) -> dict[str, Any]:
    config = KIND.Config.model_validate({**SMALL, **changes}).model_dump(mode="json")
    return KIND.resolve(config)


def run(policy: str, seed: int = 0, **changes: Any) -> Outcome:
    """Validate, resolve and run a configuration."""
    return KIND.run({**settle(**changes), "policy": policy, "seed": seed})


def measure(policy: str, **changes: Any) -> dict[str, Any]:
    """Return the metrics of a run."""
    return dict(run(policy, **changes).metrics)


@pytest.mark.parametrize("policy", [p for p in CONTROLLERS.names() if p != "fixed"])
def test_every_controller_gives_every_metric(policy: str) -> None:
    outcome = run(policy)
    metrics: dict[str, Any] = dict(outcome.metrics)
    assert set(metrics) == set(KIND.metrics)
    assert all(math.isfinite(v) for v in metrics.values() if isinstance(v, float))
    assert 0 < metrics["utilisation"] <= 1448 / 1514 + 1e-3
    assert metrics["policy_utilisation"] == metrics["utilisation"]
    assert 0 <= metrics["queue_loss"] <= metrics["loss"] < 1
    assert 0 <= metrics["queue_delay_ms"] <= 1.02 * 800 + 2  # 1000 KB at 10 Mbit/s
    assert metrics["mean_rtt_ms"] >= 30
    for name in ("jain", "competitor_share", "rise_s"):
        assert metrics[name] is None
    columns = outcome.tables["over_time"]
    assert {len(values) for values in columns.values()} == {2 * 12}
    assert canonical_json(dict(metrics))


def test_the_series_agrees_with_the_totals() -> None:
    outcome = run("cubic", queue={"kind": "drop_tail", "kb": 20.0})
    columns = outcome.tables["over_time"]
    rows = list(zip(columns["name"], columns["start_s"], columns["goodput_mbps"], strict=True))
    warm = [rate for name, start, rate in rows if name != "link" and start >= 2.0]
    assert sum(warm) / len(warm) == pytest.approx(outcome.metrics["goodput_mbps"])
    assert {rate for name, _, rate in rows if name == "link"} == {10.0}


def test_runs_repeat_and_seeds_differ() -> None:
    loss: dict[str, Any] = {"loss": {"kind": "bernoulli", "p": 0.01}}
    assert measure("bbr", **loss) == measure("bbr", **loss)
    assert run("bbr", 1, **loss).metrics != measure("bbr", **loss)


def test_policies_meet_the_same_luck() -> None:
    """Neither policy nor its parameters or its company are part of the identity."""
    config = CongestionConfig.model_validate(settle(start_spread_ms=50.0, flows=2))
    more: dict[str, Any] = {
        "parameters": {"copa": {"delta": 0.1}},
        "start": {"vivace": {"kind": "own"}},
    }
    other = CongestionConfig.model_validate(settle(start_spread_ms=50.0, flows=2, **more))
    assert identity_of(config) == identity_of(other)
    one, two = scenario_of(config, "cubic", 3), scenario_of(other, "copa", 3)
    assert one.identity == two.identity
    assert [f.start_ns for f in one.flows] == [f.start_ns for f in two.flows]
    assert scenario_of(config, "cubic", 4).flows[0].start_ns != one.flows[0].start_ns


@pytest.mark.parametrize(
    ("start", "bps"),
    [
        ({}, None),
        ({"vivace": {"kind": "own"}}, None),
        ({"vivace": {"kind": "rate", "mbps": 2.0}}, 2e6),
        ({"vivace": {"kind": "share", "share": 0.5}}, 3.75e6),
        ({"allegro": {"kind": "share", "share": 0.5}}, None),
    ],
)
def test_start_rates_go_to_those_named(start: dict[str, Any], bps: float | None) -> None:
    config = CongestionConfig.model_validate(settle(capacity=STEPS, start=start))
    flow = scenario_of(config, "vivace", 0).flows[0]
    assert isinstance(flow, Flow)
    assert flow.start_rate_bps == (None if bps is None else pytest.approx(bps))


@pytest.mark.parametrize(
    "queue",
    [
        {"kind": "drop_tail", "packets": 20},
        {"kind": "drop_tail", "bdp": 1.0},
        {"kind": "codel", "packets": 200},
        {"kind": "red", "kb": 100.0},
    ],
)
@pytest.mark.parametrize("ack_every", [1, 2])
def test_every_queue_and_delayed_acks_run(queue: dict[str, Any], ack_every: int) -> None:
    found = measure("cubic", queue=queue, ack_every=ack_every, warmup_s=4.0)
    assert found["utilisation"] > 0.7
    assert found["queue_delay_ms"] < 200


# paper: symbolicpcc lossy trace
@pytest.mark.parametrize(
    "loss",
    [
        {"kind": "bernoulli", "p": 0.02},
        {"kind": "gilbert_elliott", "to_bad": 0.01, "to_good": 0.49},
    ],
)
def test_random_loss_is_counted_apart(loss: dict[str, Any]) -> None:
    found = measure("oracle", loss=loss, duration_s=20.0)
    assert found["loss"] == pytest.approx(0.02, abs=0.006)
    assert found["queue_loss"] == 0
    assert found["utilisation"] == pytest.approx(0.956 * (1 - found["loss"]), abs=0.005)


def test_flows_share_and_competitors_are_told_apart() -> None:
    found = measure("reno", flows=2, duration_s=20.0, queue={"kind": "drop_tail", "bdp": 1.0})
    assert 0.5 <= found["jain"] <= 1
    assert 0 < found["least_share"] <= 1
    half: dict[str, Any] = {
        "parameters": {"oracle": {"share": 0.5}},
        "competitors": [{"policy": "cubic"}],
    }
    beside = measure("oracle", duration_s=20.0, **half)
    assert beside["competitor_share"] == pytest.approx(1.0, abs=0.1)
    assert beside["policy_utilisation"] < beside["utilisation"]
    both = beside["policy_utilisation"] + beside["competitor_share"] * 0.956 / 2
    assert both == pytest.approx(beside["utilisation"], abs=0.002)


def test_a_longer_round_trip_is_the_flows_own() -> None:
    config = CongestionConfig.model_validate(settle(flows=2, extra_rtt_ms=[0.0, 60.0]))
    scenario = scenario_of(config, "cubic", 0)
    assert [scenario.return_delay_ns(f) for f in scenario.flows] == [15_000_000, 75_000_000]  # type: ignore[arg-type]


# paper: symbolicpcc dynamics
def test_the_rise_after_a_step_is_at_most_the_time_until_the_next() -> None:
    small: dict[str, Any] = {"capacity": STEPS, "queue": {"kind": "drop_tail", "packets": 5}}
    assert measure("oracle", **small)["rise_s"] == 3.0  # 7.5 of 10 Mbit/s, for ever
    assert measure("cubic", capacity=STEPS)["rise_s"] <= 1.0


def test_a_trace_of_opportunities_is_a_capacity() -> None:
    capacity = {"kind": "opportunities", "at_ms": [0.0, 0.5], "period_ms": 2.0}
    outcome = run("cubic", capacity=capacity)
    assert outcome.metrics["utilisation"] == pytest.approx(0.956, abs=0.01)
    assert any("opportunity" in note for note in outcome.notes)


def test_what_a_controller_does_not_have_is_one_message() -> None:
    with pytest.raises(ScenarioError, match="controller 'cubic' has no parameter 'gain'"):
        run("cubic", parameters={"cubic": {"gain": 2.0}})


def test_a_controller_without_a_rate_is_one_message() -> None:
    with pytest.raises(PolicyError, match=r"fixed"):
        run("fixed")


def test_competitors_are_part_of_the_fingerprint() -> None:
    from experiments.plan import code_fingerprint

    config = settle(competitors=[{"policy": "bbr"}])
    assert KIND.other_policies(config) == ["bbr"]
    alone = code_fingerprint("congestion-link", "cubic")
    assert code_fingerprint("congestion-link", "cubic", ["bbr"]) != alone
    assert CONTROLLERS.paths()["bbr"] not in closure([KINDS.paths()["congestion-link"]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"capacity": {"kind": "constant", "mbps": 0.0}}, r"capacity\.constant\.mbps"),
        ({"capacity": {"kind": "stepps"}}, "tag"),
        ({"capacity": {"kind": "steps", "at_s": [0.0], "mbps": [1.0, 2.0]}}, "2 capacities"),
        ({"capacity": {"kind": "steps", "at_s": [1.0], "mbps": [1.0]}}, "begin with 0"),
        ({"queue": {"kind": "drop_tail"}}, "exactly one of kb, packets and bdp"),
        ({"queue": {"kind": "drop_tail", "kb": 1.0, "bdp": 1.0}}, "exactly one"),
        ({"queue": {"kind": "red", "packets": 9, "low": 0.5, "high": 0.5}}, "low"),
        ({"loss": {"kind": "bernoulli", "p": 1.0}}, "less than 1"),
        ({"competitors": [{"policy": "cubik"}]}, "did you mean 'cubic'"),
        ({"parameters": {"cubik": {}}}, "did you mean 'cubic'"),
        ({"start": {"aurora": {"kind": "own"}}}, "unknown congestion controller"),
        ({"warmup_s": 6.0}, "below duration_s"),
        ({"bin_s": 0.7}, "no whole number of bins"),
        ({"flows": 3, "extra_rtt_ms": [1.0]}, "1 values, 3 flows"),
        ({"flows": 2, "stagger_s": 6.0}, "before the last flow starts"),
        ({"rtt": 30.0}, "Extra inputs"),
        ({"duration_s": "30"}, "valid number"),
    ],
)
def test_bad_configurations_are_refused(changes: dict[str, Any], message: str) -> None:
    """Every slip has its own message."""
    with pytest.raises(ValidationError, match=message):
        KIND.Config.model_validate({**SMALL, **changes})
