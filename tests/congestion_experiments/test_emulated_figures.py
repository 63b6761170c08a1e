"""Figures of emulated links: live cells among recorded ones, told apart."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest

from experiments import paths
from experiments.figures.congestion_parts import LIVE
from experiments.figures.render import Rendered, render
from experiments.kinds.base import KINDS
from experiments.recorded import record, recorded
from experiments.store import Store
from experiments.tables import Results
from tests.congestion_experiments.synthetic import EMULATED, results_of

TIME = ("lossy-trace-emu", "dynamic-link-emu")


@pytest.fixture(autouse=True)
def own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RECORDED", tmp_path / "recorded")


def drawn(results: Results, folder: Path) -> Rendered:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        found = render(results, folder)
    assert found.problem == ""
    return found


def points_of(found: Rendered) -> pd.DataFrame:
    assert found.csv is not None
    return pd.read_csv(found.csv)


def live_rows(points: pd.DataFrame) -> pd.DataFrame:
    told = points["group"].astype(str)
    return points.loc[told.eq(LIVE) | told.str.contains("measured just now")]


@pytest.mark.extensive
@pytest.mark.parametrize("name", EMULATED)
def test_live_cells_stand_out_among_recorded_ones(name: str, tmp_path: Path) -> None:
    live = results_of(name, tmp_path / "live", overrides={})
    alone = points_of(drawn(live, tmp_path / "alone"))
    assert not len(live_rows(alone)), "nothing is recorded yet"
    record(results_of(name, tmp_path / "all", overrides={}, size="standard"))
    both = points_of(drawn(live, tmp_path / "both"))
    assert len(live_rows(both))
    assert len(both) > len(alone)
    assert set(live_rows(both)["policy"].dropna()) <= {s.config["policy"] for s in live.plan.runs}


def test_records_and_whole_sizes_have_no_live_marks(tmp_path: Path) -> None:
    whole = results_of("queue-emu", tmp_path / "all", overrides={}, size="standard")
    record(whole)
    kept = recorded(whole.manifest, Store(tmp_path / "empty"))
    assert kept is not None
    for place, results in enumerate((kept, whole)):
        assert not len(live_rows(points_of(drawn(results, tmp_path / str(place)))))


def test_a_record_keeps_the_series_that_the_kind_names(tmp_path: Path) -> None:
    results = results_of(TIME[0], tmp_path / "all", overrides={}, size="standard")
    assert KINDS.get("congestion-emulated").recorded_series == ("over_time",)
    file = record(results)
    assert file.with_name(f"{TIME[0]}.over_time.parquet").is_file()
    kept = recorded(results.manifest, Store(tmp_path / "empty"))
    assert kept is not None
    before, after = results.series("over_time"), kept.series("over_time")
    columns = sorted(before)
    assert sorted(after) == columns
    order = ["run_id", "flow", "start_s"]
    left, right = (
        pd.DataFrame(frame.sort_values(order)[columns]).reset_index(drop=True)
        for frame in (before, after)
    )
    pd.testing.assert_frame_equal(left, right)
    one = kept.run_ids[0]
    assert set(kept.series("over_time", [one])["run_id"]) == {one}
    assert not len(kept.series("sockets"))


def test_a_figure_is_drawn_again_when_its_record_changes(tmp_path: Path) -> None:
    live = results_of("loss-emu", tmp_path / "live", overrides={})
    before = points_of(drawn(live, tmp_path / "out"))
    record(results_of("loss-emu", tmp_path / "all", overrides={}, size="standard"))
    assert len(points_of(drawn(live, tmp_path / "out"))) > len(before)
