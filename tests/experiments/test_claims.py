"""Claims: which verdict follows from which interval, and which runs the interval is of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.claims import Check, check_claims, verdict_of
from experiments.identity import RunSpec
from experiments.kinds.base import Outcome
from experiments.manifest import Claim, Manifest, Statistic
from experiments.plan import make_plan
from experiments.statistics import Estimate, mean_interval
from experiments.store import Store
from tests.experiments.harness import fill

Make = Callable[..., Manifest]
CLAIM = {
    "id": "gain",
    "statement": "It gains.",
    "metric": "score",
    "unit": "ratio",
    "statistic": {"kind": "ratio", "policy": "shuffled", "over": "arrival"},
    "paper": {"value": 1.2, "mark": "printed", "source": "Fig. 1"},
    "tolerance": {"kind": "rel", "value": 0.1},
}
KEYS = (
    "id experiment panel artefact statement metric unit paper_value paper_mark tolerance size "
    "origin value ci_low ci_high confidence n verdict stale needs run_ids note"
)


def a_claim(
    value: float = 10.0, mark: str = "printed", kind: str = "abs", tolerance: float = 1.0
) -> Claim:
    paper = {"value": value, "mark": mark, "source": "s"}
    return Claim.model_validate(
        CLAIM | {"paper": paper, "tolerance": {"kind": kind, "value": tolerance}}
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (9.5, 10.5, "reproduced"),
        (9.0, 11.0, "reproduced"),
        (10.9, 12.0, "reproduced"),
        (11.0, 12.0, "reproduced"),
        (8.0, 9.0, "reproduced"),
        (11.01, 12.0, "deviates"),
        (7.0, 8.99, "deviates"),
        (0.0, 8.99, "deviates"),
        (8.9, 11.0, "unconfirmed"),
        (10.0, 50.0, "unconfirmed"),
    ],
)
def test_verdict_on_an_interval(low: float, high: float, verdict: str) -> None:
    """The paper says 10 +- 1. Meeting it is not enough: the interval must be as narrow as that."""
    estimate = Estimate((low + high) / 2, low, high, 5)
    assert verdict_of(a_claim(), estimate) == verdict
    assert verdict_of(a_claim(kind="rel", tolerance=0.1), estimate) == verdict
    assert verdict_of(a_claim(mark="remembered"), estimate) == "unconfirmed"
    mirrored = Estimate(-estimate.value, -high, -low, 5)
    assert verdict_of(a_claim(-10.0, kind="rel", tolerance=0.1), mirrored) == verdict


@pytest.mark.parametrize("value", [5.0, 8.99, 9.0, 10.0, 11.0, 11.01])
def test_one_repetition_can_deviate_and_never_reproduces(value: float) -> None:
    expected = "unconfirmed" if 9 <= value <= 11 else "deviates"
    assert verdict_of(a_claim(), Estimate(value, None, None, 1)) == expected


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 2.0, "reproduced"),
        (-50.0, 10.9, "reproduced"),
        (10.5, 11.5, "unconfirmed"),
        (11.1, 12.0, "deviates"),
    ],
)
def test_verdict_on_a_bound(low: float, high: float, verdict: str) -> None:
    """The paper says below 10, and we allow 1: all of the interval must lie there."""
    estimate = Estimate((low + high) / 2, low, high, 5)
    mirrored = Estimate(-estimate.value, -high, -low, 5)
    for bound, value, own in (("below", 10.0, estimate), ("above", -10.0, mirrored)):
        paper = {"value": value, "mark": "printed", "source": "s", "bound": bound}
        tolerance = {"kind": "abs", "value": 1.0}
        claim = Claim.model_validate(CLAIM | {"paper": paper, "tolerance": tolerance})
        assert verdict_of(claim, own) == verdict
    alone = Estimate(-1.0, None, None, 1)
    assert verdict_of(claim, alone) == "unconfirmed"


def test_a_geometric_mean_is_over_points(checked: Callable[..., Check]) -> None:
    claim = CLAIM | {"statistic": {"kind": "geomean", "policy": "shuffled"}}
    found = checked(lambda s: {"score": 4.0 if s.config["x"] == 1 else 1.0}, claims=[claim])
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(2.0)
    nothing = checked(lambda s: {"score": 0.0}, claims=[claim])
    assert nothing.estimate is None
    assert nothing.verdict == "not_run"


@pytest.mark.parametrize(("kind", "value"), [("min", 0.8), ("max", 4.0)])
def test_the_extreme_point_counts_alone(
    checked: Callable[..., Check], kind: str, value: float
) -> None:
    """One bad point among good ones is seen, where a mean would hide it."""
    claim = CLAIM | {"statistic": {"kind": kind, "policy": "shuffled"}}
    found = checked(lambda s: {"score": 4.0 if s.config["x"] == 1 else 0.8}, claims=[claim])
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(value)


@pytest.mark.parametrize("kind", ["min", "max"])
@pytest.mark.parametrize("wide", [1, 2])
def test_an_extreme_has_the_outermost_ends_that_runs_measured(
    checked: Callable[..., Check], kind: str, wide: int
) -> None:
    """A point that is good on average but unsure keeps the claim from being sure."""
    statistic = {"kind": kind, "policy": "shuffled", "interval": "own"}

    def measured(spec: Any) -> dict[str, float]:
        score = 1.0 if spec.config["x"] == 1 else 1.5
        half = 0.9 if spec.config["x"] == wide else 0.1
        return {"score": score, "score_low": score - half, "score_high": score + half}

    found = checked(measured, claims=[CLAIM | {"statistic": statistic}]).estimate
    each = [measured(SimpleNamespace(config={"x": x})) for x in (1, 2)]
    pick = min if kind == "min" else max
    assert found is not None
    assert found.value == pytest.approx(pick(one["score"] for one in each))
    assert found.low == pytest.approx(pick(one["score_low"] for one in each))
    assert found.high == pytest.approx(pick(one["score_high"] for one in each))


def test_an_own_interval_that_no_run_measured_is_none(checked: Callable[..., Check]) -> None:
    statistic = {"kind": "min", "policy": "shuffled", "interval": "own"}
    found = checked(lambda s: {"score": 1.0}, claims=[CLAIM | {"statistic": statistic}])
    assert found.estimate is not None
    assert found.estimate.half_width is None
    assert found.verdict in ("deviates", "unconfirmed")


def test_an_own_interval_is_for_extremes() -> None:
    with pytest.raises(ValidationError, match=r"takes no interval: own; min and max do"):
        Statistic.model_validate({"kind": "mean", "interval": "own"})


def test_a_bound_is_said(checked: Callable[..., Check]) -> None:
    paper = {"value": 1.0, "mark": "printed", "source": "s", "bound": "below"}
    found = checked(gaining(0.5), claims=[CLAIM | {"paper": paper}])
    assert found.sentence().startswith("paper < 1x (printed); here 0.5x")
    assert found.verdict == "reproduced"


@given(st.floats(-20, 40), st.floats(0, 20), st.floats(0.1, 10), st.floats(0, 10))
def test_a_wider_tolerance_never_makes_a_claim_worse(
    middle: float, half: float, tolerance: float, more: float
) -> None:
    estimate = Estimate(middle, middle - half, middle + half, 5)
    rank = ["deviates", "unconfirmed", "reproduced"]
    narrow = verdict_of(a_claim(tolerance=tolerance), estimate)
    wide = verdict_of(a_claim(tolerance=tolerance + more), estimate)
    assert rank.index(wide) >= rank.index(narrow)


FIELDS = {
    "kind": "compared",
    "policies": ["arrival", "shuffled", "prefix_dfs"],
    "metrics": ["score"],
    "axes": [{"grid": {"x": [1.0, 2.0], "mode": ["slow", "fast"]}}],
    "seeds": 3,
    "claims": [CLAIM],
}
Metrics = Callable[[RunSpec], dict[str, Any] | None]


def luck(spec: RunSpec) -> float:
    """Return what a point and a seed share, whatever the policy."""
    return 1 + spec.config["x"] * (1 + spec.config["seed"])


def gaining(factor: float) -> Metrics:
    return lambda s: {"score": luck(s) * (factor if s.config["policy"] == "shuffled" else 1)}


@pytest.fixture
def checked(make: Make, tmp_path: Path) -> Callable[..., Check]:
    """Return a function from fields, metrics and what is lacking to the check of the one claim."""

    def check(metrics: Metrics, lacks: Sequence[str] = (), **fields: Any) -> Check:
        plan = make_plan(make(**FIELDS | fields), "quick")
        (found,) = check_claims(fill(Store(tmp_path / "results"), plan, metrics), tuple(lacks))
        return found

    return check


def statistic(kind: str, **fields: Any) -> dict[str, Any]:
    over = {} if kind == "mean" else {"over": "arrival"}
    return {
        "claims": [CLAIM | {"statistic": {"kind": kind, "policy": "shuffled", **over, **fields}}]
    }


def test_pairs_share_point_and_seed_so_shared_luck_cancels(checked: Callable[..., Check]) -> None:
    found = checked(gaining(1.2)).estimate
    assert found is not None
    assert found.n == 12
    assert (found.value, found.half_width) == (pytest.approx(1.2), pytest.approx(0, abs=1e-9))


def test_only_complete_pairs_count(checked: Callable[..., Check]) -> None:
    """Of each policy another run is missing; unpaired runs would shift the ratio."""

    def metrics(spec: RunSpec) -> dict[str, Any] | None:
        config = spec.config
        place = (config["x"], config["mode"], config["seed"])
        gone = {"arrival": (1.0, "slow", 0), "shuffled": (2.0, "fast", 2)}
        return None if gone.get(config["policy"]) == place else gaining(1.2)(spec)

    found = checked(metrics)
    assert found.estimate is not None
    assert found.estimate.n == 10
    assert found.estimate.value == pytest.approx(1.2)
    assert len(found.run_ids) == len(set(found.run_ids)) == 20


def test_an_empty_metric_or_a_zero_to_divide_by_makes_no_pair(
    checked: Callable[..., Check],
) -> None:
    def metrics(spec: RunSpec) -> dict[str, Any]:
        if spec.config["policy"] == "arrival" and spec.config["seed"] == 0:
            return {"score": 0.0 if spec.config["x"] == 1.0 else None}
        return gaining(1.2)(spec)

    found = checked(metrics).estimate
    assert found is not None
    assert found.n == 8
    assert found.value == pytest.approx(1.2)


def test_extremes_are_of_points_averaged_over_seeds(checked: Callable[..., Check]) -> None:
    gains = {(1.0, "slow"): 1.0, (1.0, "fast"): 3.0, (2.0, "slow"): 0.5, (2.0, "fast"): 2.0}

    def metrics(spec: RunSpec) -> dict[str, Any]:
        gain = gains[spec.config["x"], spec.config["mode"]] + 0.1 * (spec.config["seed"] - 1)
        return {"score": gain if spec.config["policy"] == "shuffled" else 1.0}

    for kind, value in (("max_ratio", 3.0), ("min_ratio", 0.5), ("ratio", 1.625)):
        found = checked(metrics, **statistic(kind)).estimate
        assert found is not None
        assert found.value == pytest.approx(value)
        assert found.n == (12 if kind == "ratio" else 3)


def scaling(**fields: Any) -> dict[str, Any]:
    asked = {"kind": "scaling", "policy": "shuffled", **fields}
    return {"claims": [CLAIM | {"statistic": asked}]}


def test_scaling_pairs_points_by_seed_and_the_other_axes(checked: Callable[..., Check]) -> None:
    """x = 2 over x = 1 per mode and seed; other policies' runs do not count."""

    def metrics(spec: RunSpec) -> dict[str, Any]:
        config = spec.config
        shared = (1 + config["seed"]) * (7 if config["mode"] == "slow" else 1)
        own = 1.9 if config["x"] == 2.0 else 1.0
        return {"score": shared * own if config["policy"] == "shuffled" else 1.0}

    asked = scaling(where={"x": 2.0}, over_where={"x": 1.0})
    found = checked(metrics, **asked)
    assert found.estimate is not None
    assert (found.estimate.value, found.estimate.n) == (pytest.approx(1.9), 6)
    assert found.estimate.half_width == pytest.approx(0, abs=1e-9)
    assert len(found.run_ids) == 12


def test_scaling_counts_complete_pairs_within_where(checked: Callable[..., Check]) -> None:
    def metrics(spec: RunSpec) -> dict[str, Any] | None:
        gone = spec.config["x"] == 1.0 and spec.config["seed"] == 1
        return None if gone else {"score": 3.0 if spec.config["mode"] == "slow" else 1.0}

    asked = scaling(where={"x": 2.0, "mode": "slow"}, over_where={"x": 1.0})
    within = checked(metrics, **asked).estimate
    assert within is not None
    assert (within.value, within.n) == (1.0, 2)


def test_scaling_across_an_axis_and_without_runs(checked: Callable[..., Check]) -> None:
    def metrics(spec: RunSpec) -> dict[str, Any]:
        return {"score": 3.0 if spec.config["mode"] == "slow" else 1.5}

    across = checked(metrics, **scaling(where={"mode": "slow"}, over_where={"mode": "fast"}))
    assert across.estimate is not None
    assert (across.estimate.value, across.estimate.n) == (2.0, 6)
    none = checked(metrics, **scaling(where={"x": 2.0}, over_where={"x": 9.0}))
    assert (none.estimate, none.verdict) == (None, "not_run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "scaling", "policy": "arrival"}, "over_where"),
        ({"kind": "scaling", "where": {"x": 2}, "over_where": {"x": 1}}, "needs policy"),
        ({"kind": "scaling", "policy": "arrival", "over_where": {"x": 1}}, "where must hold"),
        ({"kind": "mean", "over_where": {"x": 1}}, "takes no over_where"),
        ({"kind": "scaling", "policy": "arrival", "over": "shuffled"}, "takes no over"),
    ],
)
def test_a_scaling_statistic_is_complete_or_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Claim.model_validate(CLAIM | {"statistic": fields})


def test_mean_is_over_the_runs_of_the_policy_or_of_all(checked: Callable[..., Check]) -> None:
    one = checked(gaining(3.0), **statistic("mean")).estimate
    every = checked(gaining(3.0), **statistic("mean", policy=None)).estimate
    mean = np.mean([1 + x * (1 + seed) for x in (1, 2) for seed in range(3)])
    assert one is not None
    assert every is not None
    assert (one.value, one.n) == (pytest.approx(3 * mean), 12)
    assert (every.value, every.n) == (pytest.approx(mean * 5 / 3), 36)


@pytest.mark.parametrize(
    ("where", "n"),
    [
        ({"x": 1.0}, 6),
        ({"x": 1}, 6),
        ({"x": 2.0, "mode": "fast"}, 3),
        ({"count": 1}, 12),
        ({"part.kind": "sum"}, 12),
        ({"x": 9}, 0),
        ({"part.h": 1}, 0),
    ],
)
def test_where_keeps_points_by_axis_or_by_any_field(
    checked: Callable[..., Check], where: dict[str, Any], n: int
) -> None:
    found = checked(gaining(1.2), **statistic("ratio", where=where))
    assert (found.estimate.n if found.estimate else 0) == n
    assert len(found.run_ids) == 2 * n


def test_the_interval_is_the_stratified_one_over_points(checked: Callable[..., Check]) -> None:
    def metrics(spec: RunSpec) -> dict[str, Any]:
        noise = 1 + 0.1 * spec.config["seed"] if spec.config["policy"] == "shuffled" else 1
        return {"score": noise * spec.config["x"]}

    assert checked(metrics).estimate == mean_interval([[1.0, 1.1, 1.2]] * 4)


def test_no_runs_is_not_run_and_lacking_hardware_is_told(checked: Callable[..., Check]) -> None:
    nothing = checked(lambda s: None)
    assert (nothing.verdict, nothing.estimate, nothing.run_ids) == ("not_run", None, ())
    assert checked(lambda s: None, ["gpu"]).verdict == "needs_hardware"
    assert checked(gaining(1.2), ["gpu"]).verdict == "reproduced"


def test_an_absent_file_is_no_lack_of_hardware(checked: Callable[..., Check]) -> None:
    absent = "a.rule (python -m make a)"
    found = checked(lambda s: None, [absent])
    assert found.verdict == "not_run"
    assert found.sentence() == f"paper 1.2x (printed); not run, for these are not there: {absent}"
    both = checked(lambda s: None, ["gpu", absent])
    assert both.verdict == "needs_hardware"
    assert both.sentence() == (
        f"paper 1.2x (printed); needs hardware, for these are not there: {absent}"
    )


def test_a_claim_is_stale_if_one_of_its_own_runs_is(make: Make, tmp_path: Path) -> None:
    store, plan = Store(tmp_path / "results"), make_plan(make(**FIELDS), "quick")
    fill(store, plan, gaining(1.2))
    for policy, stale in (("prefix_dfs", False), ("shuffled", True)):
        spec = next(s for s in plan.runs if s.config["policy"] == policy)
        store.put(spec.id, Outcome(gaining(1.2)(spec) or {}), {"fingerprint": "old"})
        (found,) = check_claims(fill(store, plan, lambda s: None))
        assert found.stale is stale


SENTENCES = [
    (1.2, {}, "paper 1.2x (printed); here 1.2x [1.2, 1.2], simulated, n=12: reproduced"),
    (
        1.5,
        {"origin": "recorded"},
        "paper 1.2x (printed); here 1.5x [1.5, 1.5], recorded, n=12: deviates",
    ),
]


@pytest.mark.parametrize(("gain", "fields", "sentence"), SENTENCES)
def test_sentence(
    checked: Callable[..., Check], gain: float, fields: dict[str, Any], sentence: str
) -> None:
    assert checked(gaining(gain), **fields).sentence() == sentence


def test_sentence_without_runs_and_in_other_units(checked: Callable[..., Check]) -> None:
    assert checked(lambda s: None).sentence() == "paper 1.2x (printed); not run"
    assert checked(lambda s: None, ["gpu"]).sentence() == "paper 1.2x (printed); needs hardware"
    share = {
        "claims": [
            CLAIM | {"unit": "share", "paper": {"value": 0.865, "mark": "derived", "source": "s"}}
        ]
    }
    assert checked(lambda s: None, **share).sentence().startswith("paper 86.5 % (derived)")
    plain = {"claims": [CLAIM | {"unit": "tokens/s"}]}
    assert checked(lambda s: None, **plain).sentence().startswith("paper 1.2 tokens/s")


@pytest.mark.parametrize("done", [True, False])
def test_json_has_exactly_the_keys_of_the_contract(
    checked: Callable[..., Check], done: bool
) -> None:
    metrics = gaining(1.2) if done else lambda s: None
    found = json.loads(json.dumps(checked(metrics, seeds=1).as_json(), allow_nan=False))
    assert " ".join(found) == KEYS
    assert found["id"] == "mine/sweep#gain"
    assert found["tolerance"] == {"kind": "rel", "value": 0.1}
    assert found["confidence"] == 0.95
    assert (found["value"] is not None, found["n"]) == (done, 4 if done else 0)
    assert found["verdict"] == ("reproduced" if done else "not_run")


def test_a_value_of_zero_is_a_value(checked: Callable[..., Check]) -> None:
    found = checked(lambda s: {"score": 0.0}, **statistic("mean")).as_json()
    assert (found["value"], found["ci_low"], found["n"]) == (0.0, 0.0, 12)
