"""A bad manifest: every fault at once, with line, field, what is allowed and the nearest name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import check
from experiments.axes import MAX_POINTS
from experiments.check import load_manifest
from experiments.manifest import Manifest
from experiments.problems import InvalidManifest, Problem
from tests.experiments.harness import write_manifest

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
COMPARED = {"kind": "compared", "policies": ["arrival", "shuffled"], "metrics": ["score"]}


def sizes(**quick: Any) -> dict[str, Any]:
    return {
        "quick": {"seconds": 1.0, **quick},
        "standard": {"seconds": 1.0},
        "paper": {"seconds": 1.0},
    }


def problems(make: Make, **fields: Any) -> dict[str, str]:
    """Return field -> message of the faults of a manifest with these fields."""
    with pytest.raises(InvalidManifest) as caught:
        make(**fields)
    assert all(p.message and p.line for p in caught.value.problems)
    return {p.field: p.message for p in caught.value.problems}


SIX_SHAPES = """\
schema: 1
id: mine/sweep
titel: Trivial runs
question: Does it run?
panel: servin
artefact: none
kind: trivial
promise: L0
seeds: 0.5
sizes:
  quick: {seconds: -1}
  standard: {seconds: 1, secods: 2}
  paper: {seconds: 1}
metrics: []
"""


def test_all_faults_of_shape_come_at_once_each_on_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(SIX_SHAPES)
    with pytest.raises(InvalidManifest) as caught:
        load_manifest(path)
    found = {p.field: p for p in caught.value.problems}
    lines = {name: problem.line for name, problem in found.items()}
    assert lines == {
        "title": 1,
        "titel": 3,
        "panel": 5,
        "seeds": 9,
        "sizes.quick.seconds": 11,
        "sizes.standard.secods": 12,
        "metrics": 14,
    }
    assert found["titel"].message == "no such field; did you mean 'title'?"
    assert found["sizes.standard.secods"].message == "no such field; did you mean 'seconds'?"
    assert "'serving', 'congestion' or 'tuning'; did you mean 'serving'?" in found["panel"].message
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    assert all(str(p).startswith(f"{path}:{p.line}: {p.field}: ") for p in caught.value.problems)


SIX_NAMES = """\
schema: 1
id: mine/sweep
title: T
question: Q
panel: serving
artefact: none
kind: compared
promise: L0
needs: [rot]
policies: [arrival,
  shufled]
sizes:
  quick: {seconds: 1, policies: [arival]}
  standard: {seconds: 1}
  paper: {seconds: 1}
metrics: [scores]
claims:
- id: gain
  statement: S
  metric: costs
  unit: ratio
  statistic:
    kind: ratio
    policy: shufled
    over: arrival
  paper: {value: 1, mark: printed, source: S}
  tolerance: {kind: abs, value: 1}
"""


def test_all_unknown_names_come_at_once_each_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(SIX_NAMES)
    with pytest.raises(InvalidManifest) as caught:
        load_manifest(path)
    found = {(p.field, p.line): p.message for p in caught.value.problems}
    expected = {
        ("needs.0", 9): "capability 'rot'; did you mean 'root'?",
        ("policies.1", 11): "request order 'shufled'; did you mean 'shuffled'?",
        ("sizes.quick.policies.0", 13): "request order 'arival'; did you mean 'arrival'?",
        ("metrics.0", 16): "metric 'scores'; did you mean 'score'?",
        ("claims.0.metric", 20): "metric 'costs'; did you mean 'cost'?",
        ("claims.0.statistic.policy", 24): "request order 'shufled'; did you mean 'shuffled'?",
    }
    assert found.keys() == expected.keys()
    assert all(found[place].startswith(f"unknown {text}") for place, text in expected.items())


def test_unknown_kind_offers_the_nearest(make: Make) -> None:
    assert "did you mean 'trivial'?" in problems(make, kind="trivia")["kind"]


@pytest.mark.parametrize("given", ["tunning", "conjestion", "sirving"])
def test_nearest_of_allowed_values_is_one_of_them(make: Make, given: str) -> None:
    near = {"tunning": "tuning", "conjestion": "congestion", "sirving": "serving"}[given]
    assert f"did you mean {near!r}?" in problems(make, panel=given)["panel"]


CONFIG_FAULTS = {
    "base": ({"base": {"x": "one"}}, "base.x"),
    "base, field of a part": (
        {"base": {"part": {"kind": "partial", "h": 2}}},
        "base.part.h",
    ),
    "base, part of no kind": ({"base": {"part": {"kind": "partly"}}}, "base.part"),
    "base, missing in a part": ({"base": {"part": {"kind": "partial"}}}, "base.part.h"),
    "base of a size": ({"sizes": sizes(base={"count": 0})}, "sizes.quick.base.count"),
    "grid": (
        {"axes": [{"grid": {"x": [1]}}, {"grid": {"mode": ["slow", "slo"]}}]},
        "axes.1.grid.mode",
    ),
    "zip": ({"axes": [{"zip": {"x": [1], "count": [0.5]}}]}, "axes.0.zip.count"),
    "list": ({"axes": [{"list": [{"count": 1}, {"count": -1}]}]}, "axes.0"),
    "axes of a size": (
        {"sizes": sizes(axes=[{"grid": {"count": [True]}}])},
        "sizes.quick.axes.0.grid.count",
    ),
    "dotted axis": ({"axes": [{"grid": {"part.h": [0.5]}}]}, "axes.0.grid.part.h"),
    "nothing left": ({"axes": [{"grid": {"x": [1]}}], "exclude": [{"x": 1}]}, "axes"),
    "field set twice": ({"axes": [{"grid": {"x": [1]}}, {"grid": {"x": [2]}}]}, "axes"),
    "part of a number": ({"axes": [{"grid": {"x.y": [1]}}]}, "axes.0.grid.x.y"),
    "axis through a number": ({"base": {"x": 1}, "axes": [{"grid": {"x.y": [1]}}]}, "axes"),
    "too many points": (
        {"axes": [{"grid": {n: list(range(1000)) for n in ("x", "count")}}]},
        "axes",
    ),
    "axis called as a metric": ({"axes": [{"grid": {"score": [1]}}]}, "axes"),
    "axis called as a column": ({"axes": [{"grid": {"seed": [1]}}]}, "axes"),
}


@pytest.mark.parametrize("name", CONFIG_FAULTS)
def test_a_fault_of_the_configuration_is_told_where_it_is_written(make: Make, name: str) -> None:
    fields, place = CONFIG_FAULTS[name]
    assert list(problems(make, **COMPARED, **fields)) == [place]


def test_unknown_field_of_the_configuration_offers_the_nearest(make: Make) -> None:
    found = problems(
        make, **COMPARED, base={"cuont": 1, "part": {"kind": "partial", "h": 0.5, "hh": 1}}
    )
    assert found["base.cuont"] == "no such field; did you mean 'count'?"
    assert found["base.part.hh"] == "no such field; did you mean 'h'?"


def test_policies_are_wanted_where_the_kind_compares_them_and_only_there(make: Make) -> None:
    assert "at least one" in problems(make, kind="compared", metrics=["score"])["policies"]
    assert "compare no policies" in problems(make, policies=["arrival"])["policies.0"]


@pytest.mark.parametrize(
    ("claim", "place"),
    [
        ({"statistic": {"kind": "ratio", "policy": "arrival"}}, "claims.0.statistic"),
        ({"statistic": {"kind": "mean", "over": "arrival"}}, "claims.0.statistic"),
        ({"tolerance": {"kind": "abs", "value": 0}}, "claims.0.tolerance.value"),
        ({"tolerance": {"kind": "about", "value": 1}}, "claims.0.tolerance.kind"),
        ({"paper": {"value": "1.2", "mark": "printed", "source": "s"}}, "claims.0.paper.value"),
        ({"paper": {"value": 1.2, "mark": "guessed", "source": "s"}}, "claims.0.paper.mark"),
        ({"id": "Not a name"}, "claims.0.id"),
    ],
)
def test_faults_of_a_claim(make: Make, claim: dict[str, Any], place: str) -> None:
    assert list(problems(make, **COMPARED, claims=[CLAIM | claim])) == [place]


@pytest.mark.parametrize(
    "fields",
    [
        {"claims": [CLAIM, CLAIM]},
        {"seeds": 0},
        {"seeds": 20_000},
        {"seeds": []},
        {"seeds": [1, 1]},
        {"seeds": [-1]},
        {"seeds": True},
        {"schema": 2},
        {"schema": "1"},
        {"id": "noslash"},
        {"id": "../../etc/passwd"},
        {"id": "mine/sweep\n"},
        {"limits": {"timeout_s": 0}},
        {"title": ""},
        {"sizes": {"quick": {"seconds": 1.0}}},
        {"seeds": 10_000, "axes": [{"grid": {"x": list(range(MAX_POINTS // 10_000))}}]},
    ],
)
def test_values_out_of_range_are_refused(make: Make, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        make(**COMPARED | fields)


def test_the_manifest_of_the_tests_is_good(make: Make) -> None:
    """What makes each refusal above mean something: without its fault, the manifest passes."""
    manifest = make(**COMPARED, claims=[CLAIM], exclude=[{"x": 5}], seeds=2)
    assert (manifest.paper, manifest.name, manifest.figure) == ("mine", "sweep", "mine_sweep")
    assert manifest.policies_of("paper") == ["arrival", "shuffled"]
    assert manifest.seeds_of("quick") == [0, 1]


def test_id_must_be_the_path_within_the_manifests_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MANIFESTS", tmp_path.resolve())
    (tmp_path / "mine").mkdir()
    path = write_manifest(tmp_path / "mine")
    assert load_manifest(path).id == "mine/sweep"
    path = path.rename(path.with_name("other.yaml"))
    with pytest.raises(InvalidManifest, match="must be 'mine/other'"):
        load_manifest(path)


def test_a_size_replaces_a_part_of_another_kind_and_fills_in_one_of_the_same(make: Make) -> None:
    partial = {"kind": "partial", "h": 0.5}
    other = make(**COMPARED, base={"part": partial}, sizes=sizes(base={"part": {"kind": "sum"}}))
    assert check.merged_config(other, "quick", {})["part"] == {"kind": "sum"}
    same = make(**COMPARED, base={"part": partial}, sizes=sizes(base={"part": {"h": 1}}))
    assert check.merged_config(same, "quick", {})["part"] == {"kind": "partial", "h": 1}
    assert check.merged_config(same, "paper", {})["part"] == partial


def test_a_fault_repeated_at_every_point_is_told_once_and_soon(make: Make) -> None:
    start = time.perf_counter()
    found = problems(
        make, **COMPARED, base={"counts": 1}, axes=[{"grid": {"x": list(range(2000))}}]
    )
    assert list(found) == ["base.counts"]
    assert time.perf_counter() - start < 5


def test_messages_are_printable_lines_whatever_the_manifest_says(make: Make) -> None:
    """Escape sequences and line breaks in a manifest do not reach the terminal."""
    with pytest.raises(InvalidManifest) as caught:
        make(**{"x\x1b[2J\ny": 1, "id": "a\nb\x1b"}, kind="q\n")
    assert len(caught.value.problems) >= 2
    assert all(str(p).isprintable() for p in caught.value.problems)


def test_a_problem_says_its_place_first() -> None:
    assert str(Problem("f.yaml", 3, "a.b", "wrong")) == "f.yaml:3: a.b: wrong"
    assert str(Problem("f.yaml", None, "", "wrong")) == "f.yaml: wrong"


def test_json_schema_for_editors_has_every_field() -> None:
    schema = json.loads(json.dumps(Manifest.model_json_schema()))
    assert {"schema", "id", "axes", "claims", "sizes"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False


def test_countless_faults_are_told_soon_the_first_of_them(tmp_path: Path) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidManifest) as caught:
        load_manifest(write_manifest(tmp_path, needs=list(range(5000))))
    assert len(caught.value.problems) == check.MAX_SHOWN + 1
    assert caught.value.problems[0].field == "needs.0"
    assert "more faults" in str(caught.value.problems[-1])
    assert time.perf_counter() - start < 10
