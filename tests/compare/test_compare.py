"""Policies side by side: pairs, intervals, winners."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments.compare import Row, as_table, better, comparison, verdict
from experiments.problems import InputError
from experiments.tables import Results
from tests.figures.synthetic import POLICIES, manifest, results_of


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(manifest(), tmp_path_factory.mktemp("store"))


def row(results: Results, metric: str, policy: str, baseline: str = "prefix_dfs") -> Row:
    (found,) = comparison(results, baseline, [metric], policy)
    return found


def test_every_other_policy_meets_the_baseline(results: Results) -> None:
    rows = comparison(results, "prefix_dfs", ["throughput_tokens_s"])
    assert [r.a for r in rows] == [name for name in POLICIES if name != "prefix_dfs"]
    assert {(r.b, r.pairs) for r in rows} == {("prefix_dfs", 9)}


def test_the_default_baseline_is_the_first_policy(results: Results) -> None:
    assert {r.b for r in comparison(results, metrics=["makespan_s"])} == {POLICIES[0]}


def test_the_better_value_wins_in_either_direction(results: Results) -> None:
    more = row(results, "throughput_tokens_s", "blendserve")
    assert more.winner == "blendserve"
    assert more.ci_low is not None
    assert 0 < more.ci_low <= (more.diff or 0) <= (more.ci_high or 0)
    less = row(results, "makespan_s", "blendserve")
    assert less.winner == "blendserve"
    assert (less.diff or 0) < 0
    assert row(results, "makespan_s", "shuffled").winner == "prefix_dfs"


def test_a_metric_without_direction_has_no_winner_but_says_which_is_higher(
    results: Results,
) -> None:
    same = row(results, "density", "blendserve")
    assert (same.diff, same.winner, verdict(same)) == (0.0, None, "no difference")
    other = Row("steps", "a", "b", 9, 2.0, 1.0, 3.0, None)
    assert verdict(other) == "a higher"


def test_swapping_the_two_changes_the_sign_and_not_the_winner(results: Results) -> None:
    one = row(results, "throughput_tokens_s", "shuffled", "arrival")
    two = row(results, "throughput_tokens_s", "arrival", "shuffled")
    assert one.diff == pytest.approx(-(two.diff or 0))
    assert one.winner == two.winner == "shuffled"


def test_pairs_hold_only_runs_that_both_have(tmp_path: Path) -> None:
    found = results_of(
        manifest(),
        tmp_path,
        keep=lambda s: s.config["policy"] != "shuffled" or s.config["seed"] == 1,
    )
    assert row(found, "makespan_s", "shuffled").pairs == 3
    none = results_of(manifest(), tmp_path / "b", keep=lambda s: s.config["policy"] == "shuffled")
    empty = row(none, "makespan_s", "shuffled")
    assert (empty.pairs, empty.diff, empty.winner) == (0, None, None)
    assert verdict(empty) == "too few pairs (0)"


def test_without_any_run_all_rows_are_empty(tmp_path: Path) -> None:
    rows = comparison(results_of(manifest(), tmp_path, keep=lambda s: False))
    assert rows
    assert all(r.pairs == 0 and r.winner is None for r in rows)


def test_text_and_truth_values_are_left_out(results: Results) -> None:
    assert "valid" not in {r.metric for r in comparison(results)}


def test_bad_names_are_told(results: Results) -> None:
    with pytest.raises(InputError, match="'nobody' is not in this sweep"):
        comparison(results, "nobody")
    with pytest.raises(InputError, match="unknown metric 'speed'"):
        comparison(results, metrics=["speed"])
    with pytest.raises(InputError, match="against itself"):
        comparison(results, "arrival", policy="arrival")


def test_one_policy_is_not_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer than two"):
        comparison(results_of(manifest(policies=["arrival"]), tmp_path))


def test_json_rows_have_the_agreed_fields(results: Results) -> None:
    text = json.dumps(comparison(results)[0].as_json())
    fields = ["metric", "a", "b", "pairs", "diff", "ci_low", "ci_high", "winner"]
    assert list(json.loads(text)) == fields


def test_the_table_says_no_difference(results: Results) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(as_table(comparison(results, "prefix_dfs")))
    text = console.export_text()
    assert "against b = prefix_dfs" in text
    assert "no difference" in text


def test_directions_are_read_from_the_words() -> None:
    words = {"a": "s; lower is better", "b": "1; Higher is better", "c": "1; neither is better"}
    assert better(words) == {"a": "lower", "b": "higher"}
