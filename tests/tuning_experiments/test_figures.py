"""Figures of the tuning experiments: they draw, repeat to the byte, and bear gaps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments.figures.render import Rendered, render
from experiments.figures.tuning_parts import POINTS, paper_values, shape_label
from experiments.tables import Results
from tests.figures.synthetic import only
from tests.tuning_experiments.synthetic import KIND_OF, results_of


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    return {name: results_of(name, tmp_path_factory.mktemp("store")) for name in KIND_OF}


@pytest.fixture(params=KIND_OF)
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
    assert list(points) == list(POINTS)
    assert points["mean"].notna().to_numpy().any()


@pytest.mark.extensive
@pytest.mark.parametrize("place", [0, -1])
def test_a_single_run_is_enough(results: Results, place: int, tmp_path: Path) -> None:
    wanted = results.plan.runs[place].id
    drawn(only(results, lambda spec: spec.id == wanted), tmp_path)


@pytest.mark.extensive
@pytest.mark.parametrize("name", KIND_OF)
def test_the_quick_size_with_one_seed_draws(name: str, tmp_path: Path) -> None:
    drawn(results_of(name, tmp_path / "store", "quick", seeds=(0,)), tmp_path)


def test_bars_are_the_means_of_ratios(complete: dict[str, Results], tmp_path: Path) -> None:
    results = complete["cpu-gemm"]
    points = points_of(drawn(results, tmp_path))
    table = results.table
    first = results.plan.runs[0]
    label = shape_label(first.config["operator"])
    rows = table.loc[[i in _same(results, first.point) for i in table["run_id"]]]
    bar = points.loc[(points["group"] == label) & (points["policy"] == "torch")].iloc[0]
    assert bar["mean"] == pytest.approx((rows["fastest_vendor_ns"] / rows["torch_ns"]).mean())
    assert bar["n"] == len(rows)


def test_a_run_alone_bears_its_interval_over_rounds(tmp_path: Path) -> None:
    results = results_of("cpu-gemm", tmp_path / "store", seeds=(0,))
    points = points_of(drawn(results, tmp_path))
    ours = points.loc[points["policy"] == "templates"]
    assert len(ours) == len(results.plan.runs)
    assert ours["low"].to_numpy() == pytest.approx(0.9 * ours["mean"].to_numpy())
    assert ours["high"].to_numpy() == pytest.approx(1.1 * ours["mean"].to_numpy())
    assert points.loc[points["policy"] == "torch", "low"].isna().all()


def test_every_curve_ends_at_its_time_in_the_contest(
    complete: dict[str, Results], tmp_path: Path
) -> None:
    """Clocks of searches differ; only the contest's compares them."""
    results = complete["tuning-time"]
    points = points_of(drawn(results, tmp_path))
    curves = points.loc[points["panel"] == "curve"]
    drawn_ms = curves["mean"].to_numpy()
    for ms in results.table["ours_ns"] / 1e6:
        assert abs(drawn_ms / ms - 1).min() < 1e-9


def test_the_best_so_far_never_gets_worse(tmp_path: Path) -> None:
    points = points_of(drawn(results_of("tuning-time", tmp_path / "store", seeds=(0,)), tmp_path))
    curves = points.loc[points["panel"] == "curve"]
    assert len(curves)
    for _, run in curves.groupby(["group", "policy"]):
        assert run["x"].is_monotonic_increasing
        assert run["mean"].is_monotonic_decreasing


def _same(results: Results, point: dict[str, object]) -> set[str]:
    return {spec.id for spec in results.plan.runs if spec.point == point}


def test_the_papers_values_stand_at_their_rows(complete: dict[str, Results]) -> None:
    found = paper_values(complete["cpu-b2b"], "speedup", lambda c: c["first"].get("m"))
    assert found[2464] == 1.24
    assert found[128320] == 1.46
    rows = paper_values(
        complete["cpu-padding"],
        "speedup",
        lambda c: (c["operator"]["batch"], c["operator"]["in_channels"], *c["operator"]["kernel"]),
    )
    assert rows == {
        (32, 46, 3, 3): 1.62,
        (32, 46, 5, 5): 1.95,
        (128, 46, 5, 7): 1.77,
        (288, 46, 5, 7): 1.71,
        (32, 174, 3, 3): 1.60,
        (32, 174, 5, 5): 1.99,
    }


@pytest.mark.parametrize(
    ("operator", "label"),
    [
        ({"kind": "gemm", "m": 1280, "n": 768, "k": 64}, "1280x768x64"),
        (
            {"kind": "conv2d", "height": 56, "width": 56, "in_channels": 3, "out_channels": 64,
             "kernel": [3, 3], "stride": [2, 2]},
            "56x56 3-64\n3x3 s2",
        ),
        (
            {"kind": "conv2d", "height": 11, "width": 15, "in_channels": 46, "out_channels": 32,
             "kernel": [5, 7], "stride": [1, 1]},
            "11x15 46-32\n5x7",
        ),
    ],
)  # fmt: skip
def test_operators_have_short_names(operator: dict[str, object], label: str) -> None:
    assert shape_label(operator) == label
