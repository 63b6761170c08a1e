"""Figures of the congestion experiments: they draw, repeat to the byte, and bear gaps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments.figures import congestion_paper as paper
from experiments.figures import congestion_parts as parts
from experiments.figures.render import Rendered, render
from experiments.figures.style import look
from experiments.tables import Results
from tests.congestion_experiments.synthetic import MINE, results_of
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


@pytest.mark.extensive
def test_every_figure_draws_and_its_bytes_repeat(results: Results, tmp_path: Path) -> None:
    one, two = (drawn(replace(results), tmp_path / name) for name in ("a", "b"))
    for suffix in ("svg", "png", "csv"):
        assert getattr(one, suffix).read_bytes() == getattr(two, suffix).read_bytes()
    points = points_of(one)
    assert list(points) == list(parts.POINTS)
    assert points["mean"].notna().to_numpy().any()


@pytest.mark.extensive
@pytest.mark.parametrize("absent", ["cubic", "aurora_udt"])
def test_a_missing_policy_is_said(results: Results, absent: str, tmp_path: Path) -> None:
    compared = {spec.config["policy"] for spec in results.plan.runs}
    found = drawn(only(results, lambda spec: spec.config["policy"] != absent), tmp_path)
    assert (f"policy {absent}" in found.missing) == (absent in compared)


@pytest.mark.extensive
@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_single_run_is_enough(results: Results, place: int, tmp_path: Path) -> None:
    wanted = results.plan.runs[place].id
    drawn(only(results, lambda spec: spec.id == wanted), tmp_path)


@pytest.mark.extensive
def test_an_overridden_sweep_draws(results: Results, tmp_path: Path) -> None:
    name = results.manifest.name
    changed = {"packet_bytes": [1000, 1514], "seeds": [0], "policies": ["copa", "aurora_udt"]}
    drawn(results_of(name, tmp_path / "store", overrides=changed), tmp_path / "out")


# paper: symbolicpcc bandwidth; symbolicpcc latency; symbolicpcc queue; symbolicpcc loss
@pytest.mark.parametrize(
    ("name", "curves"),
    [
        ("bandwidth", paper.BANDWIDTH),
        ("latency", paper.LATENCY),
        ("queue", paper.QUEUE),
        ("loss", paper.LOSS),
    ],
)
def test_sweeps_hold_every_run_and_the_papers_points(
    complete: dict[str, Results], name: str, curves: dict[str, paper.Curve], tmp_path: Path
) -> None:
    results = complete[name]
    points = points_of(drawn(results, tmp_path))
    ours = points[(points["panel"] == "utilisation") & (points["group"] == parts.HERE)]
    assert sum(ours["n"].tolist()) == len(results.plan.runs)
    theirs = points[points["group"] == parts.PAPER]
    assert len(theirs) == sum(map(len, curves.values()))
    known = {(row.policy, row.x): row.mean for row in theirs.itertuples()}  # type: ignore[attr-defined]
    assert known == {(p, x): y for p, curve in curves.items() for x, y in curve.items()}


def test_the_papers_points_are_those_that_claims_name(complete: dict[str, Results]) -> None:
    """A claim at one point of a sweep and the marker beside our line are one number."""
    panels = {"capacity.mbps": paper.BANDWIDTH, "rtt_ms": paper.LATENCY}
    panels |= {"queue.kb": paper.QUEUE, "loss.p": paper.LOSS}
    compared = 0
    for results in complete.values():
        for claim in results.manifest.claims:
            where = claim.statistic.where
            if claim.paper.mark != "digitised" or len(where) != 1:
                continue
            [(column, x)] = where.items()
            curve = panels[column][str(claim.statistic.policy)]
            if x in curve:
                assert curve[x] == claim.paper.value, f"{results.manifest.id}#{claim.id}"
                compared += 1
    assert compared > 20


def test_sweep_claims_are_means_of_the_papers_points(complete: dict[str, Results]) -> None:
    for name, curves in (("bandwidth", paper.BANDWIDTH), ("latency", paper.LATENCY)):
        for claim in complete[name].manifest.claims:
            if claim.id.endswith("_sweep"):
                curve = curves[str(claim.statistic.policy)]
                assert len(curve) == 6
                mean = sum(curve.values()) / 6
                assert claim.paper.value == pytest.approx(mean, abs=1e-4)


def test_a_start_is_drawn_in_all_three_sweeps(complete: dict[str, Results], tmp_path: Path) -> None:
    """The nominal point is one run, listed under one sweep only, but belongs to all."""
    points = points_of(drawn(complete["ablation-start"], tmp_path))
    ours = points[points["group"] != parts.PAPER]
    count = ours.groupby(["panel", "group"]).size().unstack("panel")
    assert count.loc[:, "capacity.mbps"].tolist() == [6] * 4
    assert count.loc[:, "rtt_ms"].tolist() == [6] * 4
    assert count.loc[:, "loss.p"].tolist() == [5] * 4


def test_never_is_written_where_nothing_converges(tmp_path: Path) -> None:
    from experiments.figures import symbolicpcc_fairness as fairness
    from experiments.figures.style import styled

    results = results_of("fairness", tmp_path)
    results.table.loc[results.table["policy"] == "cubic", "convergence_s"] = None
    with styled():
        figure = fairness.draw(results)
    written = [t.get_text() for axes in figure.get_axes() for t in axes.texts]
    assert written.count("never") >= 3


def test_the_bent_scale_is_monotone_and_inverts() -> None:
    from experiments.figures.congestion_parts import _bend, _unbend

    values = [-0.5, 0.0, 0.2, 0.75, 0.9, 1.0, 1.5]
    bent = _bend(values)
    assert (bent[1:] > bent[:-1]).all()
    assert _unbend(bent).tolist() == pytest.approx(values)


def test_controllers_have_looks_of_their_own() -> None:
    names = ["cubic", "bbr", "vivace", "aurora_udt", "aurora_gym", "reno"]
    names += ["bbr3", "copa", "vegas", "allegro", "oracle", "fixed"]
    names += ["symbolic", "symbolic_branched", "teacher"]
    assert len({look(n).colour for n in names}) == len(names)
    assert len({look(n).marker for n in names}) == len(names)
