"""The figure of all orders, on synthetic runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.figures.render import render
from experiments.tables import Results
from tests.figures.synthetic import MIXES, OVERLAPS, manifest, only, results_of


@pytest.fixture(scope="module", params=[OVERLAPS[1:2], OVERLAPS], ids=["one model", "three"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return all runs of four mixes under one or several overlap models."""
    axes = [{"zip": MIXES}, {"grid": {"overlap": request.param}}]
    made = manifest("blendserve/order-rivals", axes=axes)
    return results_of(made, tmp_path_factory.mktemp("store"))


def test_dots_are_the_runs(results: Results, tmp_path: Path) -> None:
    """DFS stands at 1, the optimum's share is 1, and its row is DFS's share turned over."""
    drawn = render(results, tmp_path)
    assert drawn.problem == ""
    assert drawn.csv is not None
    points = pd.read_csv(drawn.csv)
    by = points.set_index(["panel", "policy"])["mean"]
    assert (by.loc[("ratio", "prefix_dfs")] == 1).all()
    assert (by.loc[("share", "practical optimum")] == 1).all()
    above = by.loc[("ratio", "practical optimum")].to_numpy()
    share = by.loc[("share", "prefix_dfs")].to_numpy()
    assert above * share == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("policy", ["prefix_dfs", "blendserve"])
def test_what_has_not_run_is_left_out(results: Results, policy: str, tmp_path: Path) -> None:
    """Without the baseline there are no gains; without an order there is no row; no crash."""
    drawn = render(only(results, lambda spec: spec.config["policy"] != policy), tmp_path)
    assert drawn.problem == ""
    assert policy in drawn.caption
