"""Figures of the experiments on rules and networks draw, repeat to the byte, and bear gaps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments.claims import check_claims
from experiments.figures import congestion_parts as parts
from experiments.figures import congestion_shares
from experiments.figures.render import Rendered, render
from experiments.tables import Results
from tests.congestion_experiments.judged import MINE, results_of
from tests.figures.synthetic import only


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    return {name: results_of(name, tmp_path_factory.mktemp("store")) for name in MINE}


@pytest.fixture(params=MINE)
def results(request: pytest.FixtureRequest, complete: dict[str, Results]) -> Results:
    return complete[request.param]


def drawn(results: Results, folder: Path) -> Rendered:
    """Render; a layout that does not fit, or a value that cannot be drawn, is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        found = render(results, folder)
    assert found.problem == ""
    return found


def points_of(found: Rendered) -> pd.DataFrame:
    assert found.csv is not None
    return pd.read_csv(found.csv)


def test_all_ten_are_there() -> None:
    assert len(MINE) == 10
    assert {"reward", "fidelity", "decider", "complexity", "contexts", "decision-cost"} <= {*MINE}


@pytest.mark.extensive
def test_every_figure_draws_and_its_bytes_repeat(results: Results, tmp_path: Path) -> None:
    one, two = (drawn(replace(results), tmp_path / name) for name in ("a", "b"))
    for suffix in ("svg", "png", "csv"):
        assert getattr(one, suffix).read_bytes() == getattr(two, suffix).read_bytes()
    points = points_of(one)
    assert list(points) == list(parts.POINTS)
    assert points["mean"].notna().to_numpy().any()


@pytest.mark.extensive
def test_the_largest_size_draws_too(results: Results, tmp_path: Path) -> None:
    largest = results_of(results.manifest.name, tmp_path / "store", size="paper")
    drawn(largest, tmp_path / "out")


@pytest.mark.extensive
def test_a_missing_policy_is_said(results: Results, tmp_path: Path) -> None:
    absent = "symbolic_branched"
    compared = {spec.config["policy"] for spec in results.plan.runs}
    left = only(results, lambda spec: spec.config["policy"] != absent)
    found = drawn(left, tmp_path)
    assert (f"policy {absent}" in found.missing) == (absent in compared)


@pytest.mark.extensive
def test_a_single_run_is_enough(results: Results, tmp_path: Path) -> None:
    wanted = results.plan.runs[-1].id
    drawn(only(results, lambda spec: spec.id == wanted), tmp_path)


@pytest.mark.extensive
def test_figures_need_no_series(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where only the table was recorded."""
    monkeypatch.setattr(Results, "series", lambda self, name, ids=None: pd.DataFrame())
    drawn(replace(results), tmp_path)


@pytest.mark.extensive
def test_an_overridden_sweep_draws(results: Results, tmp_path: Path) -> None:
    changed: dict[str, list] = {"seeds": [0, 1, 2]}
    if results.plan.runs[0].config["policy"] is not None:
        changed["policies"] = ["symbolic", "rule_gentle"]
    drawn(
        results_of(results.manifest.name, tmp_path / "store", overrides=changed), tmp_path / "out"
    )


def test_a_single_run_has_its_own_interval_and_several_have_theirs() -> None:
    rows = {
        "policy": ["a", "b", "b"],
        "share_median": [0.5, 0.6, 0.8],
        "share_median_low": [0.4, 0.0, 0.0],
        "share_median_high": [0.7, 1.0, 1.0],
    }
    found = congestion_shares.shares(pd.DataFrame(rows), ["policy"], "share_median")
    assert found["mean"].tolist() == pytest.approx([0.5, 0.7])
    assert (found["low"][0], found["high"][0]) == (0.4, 0.7)
    assert 0.6 <= found["low"][1] <= 0.7 <= found["high"][1] <= 0.8


def test_the_reward_figure_holds_every_run(complete: dict[str, Results], tmp_path: Path) -> None:
    results = complete["reward"]
    points = points_of(drawn(results, tmp_path))
    ours = points[points["group"] == congestion_shares.RATIO]
    assert sum(ours["n"].tolist()) == len(results.plan.runs)
    assert set(ours["panel"]) == set(results.table["distribution"])


def test_claims_are_of_the_projects_own_aims_only(complete: dict[str, Results]) -> None:
    """The paper's efficiency table is only remembered: none of its numbers is printed."""
    claims = [claim for results in complete.values() for claim in results.manifest.claims]
    assert len(claims) >= 6
    assert {claim.paper.mark for claim in claims} == {"derived"}
    assert all(claim.paper.bound == "above" for claim in claims)


def test_a_ratio_below_the_bound_deviates(tmp_path: Path) -> None:
    results = results_of("reward", tmp_path, overrides={"seeds": [0, 1, 2]})
    for policy, share in (("teacher", 0.97), ("symbolic_branched", 0.9)):
        results.table.loc[results.table["policy"] == policy, "share_ratio_of_means"] = share
    verdicts = {check.claim.id: check.verdict for check in check_claims(results)}
    assert verdicts["kept_in_training"] == "deviates"
    results.table.loc[results.table["policy"] == "symbolic_branched", "share_ratio_of_means"] = 0.98
    verdicts = {check.claim.id: check.verdict for check in check_claims(results)}
    assert verdicts["kept_in_training"] == "reproduced"
