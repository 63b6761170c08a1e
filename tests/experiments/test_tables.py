"""Exported metrics: rows in the order of the plan, typed columns, equal bytes, no provenance."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from experiments.identity import RunSpec
from experiments.kinds.base import Outcome
from experiments.manifest import Manifest
from experiments.plan import make_plan, parse_overrides
from experiments.store import Store
from experiments.tables import collect, compact, export
from tests.experiments.harness import fill

Make = Callable[..., Manifest]
FIELDS = {
    "kind": "compared",
    "policies": ["shuffled", "arrival"],
    "metrics": ["score"],
    "axes": [
        {"grid": {"x": [3.0, 1.0, 2.0]}},
        {"list": [{"part": {"kind": "sum"}}, {"part": {"kind": "partial", "h": 0.5}}]},
    ],
    "seeds": [9, 2],
}


def score(spec: RunSpec) -> dict[str, Any]:
    return {"score": spec.config["x"] * 2, "cost": spec.config["seed"]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_rows_are_in_the_order_of_the_plan_whatever_the_order_of_finishing(
    make: Make, store: Store
) -> None:
    plan = make_plan(make(**FIELDS), "quick")
    shuffled = random.Random(1).sample(plan.runs, len(plan.runs))
    for spec in shuffled:
        store.put(spec.id, Outcome(score(spec)), {"fingerprint": spec.fingerprint})
    table = compact(collect(plan, store)).to_pydict()
    assert table["run_id"] == [spec.id for spec in plan.runs]
    assert table["policy"] == [spec.config["policy"] for spec in plan.runs]
    assert table["seed"] == [9, 2] * 12
    assert table["x"] == [spec.point["x"] for spec in plan.runs]
    assert table["score"] == [2 * x for x in table["x"]]


def test_columns_are_the_runs_axes_and_metrics_with_their_types(make: Make, store: Store) -> None:
    results = fill(store, make_plan(make(**FIELDS), "quick"), score)
    types = {field.name: str(field.type) for field in compact(results).schema}
    assert types == {
        "run_id": "string", "policy": "string", "seed": "int64",
        "x": "double", "part": "string", "cost": "int64", "score": "double",
    }  # fmt: skip
    parts = set(compact(results).to_pydict()["part"])
    assert parts == {"sum", '{"h": 0.5, "kind": "partial"}'}


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], "int64"), ([1, 2.5], "double"), ([True, False], "bool"), ([1, "a"], "string"),
     ([True, 1], "string"), ([None, 1], "int64"), ([None, None], "null"), ([None, 0.5], "double")],
)  # fmt: skip
def test_a_column_has_the_narrowest_type_that_holds_all(
    make: Make, store: Store, values: list[Any], kind: str
) -> None:
    given = iter(values)
    results = fill(store, make_plan(make(seeds=2), "quick"), lambda _: {"value": next(given)})
    assert str(compact(results).schema.field("value").type) == kind


def test_a_metric_that_some_runs_lack_is_empty_there(make: Make, store: Store) -> None:
    results = fill(
        store,
        make_plan(make(seeds=2), "quick"),
        lambda s: {"value": 1.0} if s.config["seed"] else {"count": 2, "value": 0.0},
    )
    table = compact(results).to_pydict()
    assert (table["value"], table["count"]) == ([0.0, 1.0], [2, None])


def test_unfinished_runs_have_no_row(make: Make, store: Store) -> None:
    plan = make_plan(make(**FIELDS), "quick")
    results = fill(store, plan, lambda s: score(s) if s.config["seed"] == 2 else None)
    assert results.run_ids == tuple(s.id for s in plan.runs if s.config["seed"] == 2)
    assert results.table["seed"].tolist() == [2] * 12
    empty = collect(make_plan(make(seeds=[77]), "quick"), store)
    assert list(empty.table.columns) == ["run_id", "policy", "seed"]
    assert len(empty.table) == 0


def test_two_exports_are_equal_byte_for_byte(make: Make, tmp_path: Path) -> None:
    """Also from runs that finished in another order, with other provenance."""
    plan = make_plan(make(**FIELDS), "quick")
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    fill(here, plan, score)
    for spec in reversed(plan.runs):
        provenance = {"fingerprint": spec.fingerprint, "host": "another", "wall_s": 3.0}
        there.put(spec.id, Outcome(dict(reversed(score(spec).items()))), provenance)
    one, two = (export(collect(plan, each), each.root) for each in (here, there))
    assert one.read_bytes() == two.read_bytes()
    assert one.relative_to(here.root) == Path("tables/mine/sweep.quick.parquet")
    before = one.stat().st_mtime_ns
    assert export(collect(plan, here), here.root).stat().st_mtime_ns == before


def test_an_overridden_plan_exports_beside_the_experiments_own_table(
    make: Make, store: Store
) -> None:
    manifest = make(**FIELDS)
    own = export(fill(store, make_plan(manifest, "quick"), score), store.root)
    before = own.read_bytes()
    for option in ("x=5", "seeds=1", "policies=arrival"):
        plan = make_plan(manifest, "quick", parse_overrides([option]))
        other = export(fill(store, plan, score), store.root)
        assert other != own
        assert len(pq.read_table(other)) == len(plan.runs)
    assert own.read_bytes() == before


def test_series_are_labelled_by_run_policy_and_seed(make: Make, store: Store) -> None:
    plan = make_plan(make(**FIELDS), "quick")
    for index, spec in enumerate(plan.runs):
        tables = {"load": {"t": [0, 1], "y": [index, spec.config["seed"]]}} if index % 2 else {}
        store.put(spec.id, Outcome(score(spec), tables), {"fingerprint": spec.fingerprint})
    results = collect(plan, store)
    series = results.series("load")
    assert list(series.columns) == ["run_id", "t", "y", "policy", "seed"]
    odd = [spec for index, spec in enumerate(plan.runs) if index % 2]
    assert series["run_id"].tolist() == [spec.id for spec in odd for _ in range(2)]
    assert (series["seed"] == series["y"])[1::2].all()
    assert len(results.series("load", [odd[0].id])) == 2
    assert results.series("absent").empty


def test_results_know_what_failed_and_what_other_code_made(make: Make, store: Store) -> None:
    plan = make_plan(make(seeds=4), "quick")
    for spec, code in zip(plan.runs[:3], ("old", plan.runs[1].fingerprint, "old"), strict=True):
        store.put(spec.id, Outcome({"value": 1.0}), {"fingerprint": code})
    store.put_failure(plan.runs[2].id, {"reason": "tried again, failed"})
    store.put_failure(plan.runs[3].id, {"reason": "failed"})
    results = collect(plan, store)
    assert results.stale == (plan.runs[0].id, plan.runs[2].id)
    assert results.failed == (plan.runs[3].id,)
    assert [p["fingerprint"] for p in results.provenance()] == [
        "old",
        plan.runs[1].fingerprint,
        "old",
    ]
