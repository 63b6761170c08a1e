"""From a manifest to runs: pure, in order, with identities that depend on what a run is."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import fingerprint as fingerprints
from experiments.fingerprint import closure, fingerprint
from experiments.identity import run_id
from experiments.manifest import Manifest
from experiments.paths import ROOT
from experiments.plan import code_fingerprint, make_plan, parse_overrides
from experiments.problems import InputError

Make = Callable[..., Manifest]
COMPARED = {"kind": "compared", "policies": ["arrival", "shuffled"], "metrics": ["score"]}


def ids(manifest: Manifest, size: str = "quick", **overrides: Any) -> list[str]:
    return [run.id for run in make_plan(manifest, size, overrides).runs]


def test_runs_are_points_then_policies_then_seeds(make: Make) -> None:
    plan = make_plan(make(**COMPARED, axes=[{"grid": {"x": [2.0, 1.0]}}], seeds=[7, 3]), "quick")
    found = [(r.config["x"], r.config["policy"], r.config["seed"]) for r in plan.runs]
    policies = ("arrival", "shuffled")
    assert found == [(x, p, s) for x in (2.0, 1.0) for p in policies for s in (7, 3)]
    assert [r.point for r in plan.runs[:4]] == [{"x": 2.0}] * 4
    assert not plan.overridden


def test_ids_ignore_how_a_configuration_is_written(make: Make) -> None:
    """Order of fields, defaults spelled out, base or axis, 1 or 1.0: one identity."""
    plain = ids(make(**COMPARED, base={"x": 2.0, "count": 3}))
    assert plain == ids(make(**COMPARED, base={"count": 3, "x": 2.0}))
    assert plain == ids(make(**COMPARED, base={"count": 3, "x": 2}))
    assert plain == ids(
        make(**COMPARED, base={"count": 3, "x": 2.0, "mode": "slow", "part": {"kind": "sum"}})
    )
    assert plain == ids(
        make(**COMPARED, base={"x": 9.0}, axes=[{"zip": {"x": [2.0], "count": [3]}}])
    )
    assert plain == ids(make(**COMPARED, base={"x": 2.0, "count": 3}, title="Another"), "paper")


@pytest.mark.parametrize(
    "change",
    [{"x": 2.0}, {"count": 2}, {"mode": "fast"}, {"part": {"kind": "partial", "h": 0.5}}],
)
def test_ids_differ_where_any_field_differs(make: Make, change: dict[str, Any]) -> None:
    assert not set(ids(make(**COMPARED))) & set(ids(make(**COMPARED, base=change)))


def test_ids_differ_between_policies_and_between_seeds(make: Make) -> None:
    assert len(set(ids(make(**COMPARED, seeds=5)))) == 10


configs = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=6)


@given(configs, st.randoms(use_true_random=False))
def test_run_id_ignores_the_order_of_keys(config: dict[str, Any], luck: random.Random) -> None:
    shuffled = dict(luck.sample(list(config.items()), len(config)))
    assert run_id("k", config) == run_id("k", shuffled)


@given(configs, configs)
def test_run_id_tells_configurations_and_kinds_apart(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    assert (run_id("k", one) == run_id("k", two)) == (one == two)
    assert run_id("k", one) != run_id("l", one)


def test_run_id_is_for_ever() -> None:
    """Results on disk are found by it: changing how it is made orphans them all."""
    assert run_id("kind", {"a": 1, "b": [0.5, None]}) == (
        "bf49ae2ea1f27d5c33899961b190bf7f0af6bb139f551fb6d03ae75ebece9948"
    )


def test_one_identity_is_planned_once(make: Make) -> None:
    """1 and 1.0 are two values of an axis, and one run."""
    assert len(ids(make(axes=[{"grid": {"x": [1, 1.0, 2]}}]))) == 2


def test_overrides_replace_values_add_axes_and_mark_the_plan(make: Make) -> None:
    manifest = make(**COMPARED, axes=[{"grid": {"x": [1.0, 2.0]}}])
    plan = make_plan(manifest, "quick", parse_overrides(["x=5", "count=1,2", "part.kind=sum"]))
    assert plan.overridden
    assert [(r.config["x"], r.config["count"]) for r in plan.runs[::2]] == [(5.0, 1), (5.0, 2)]
    assert plan.runs[0].point == {"x": 5, "count": 1, "part.kind": "sum"}


@pytest.mark.parametrize("option", ["seeds=4", "policies=arrival", "x=3"])
def test_any_override_marks_the_plan(make: Make, option: str) -> None:
    """Marked plans export to a table of their own, and do not replace the experiment's."""
    manifest = make(**COMPARED, axes=[{"grid": {"x": [1.0]}}])
    changed = make_plan(manifest, "quick", parse_overrides([option]))
    assert changed.overridden
    assert changed.digest != make_plan(manifest, "quick").digest


def test_overridden_seeds_and_policies_are_those_given_once(make: Make) -> None:
    manifest = make(**COMPARED)
    plan = make_plan(
        manifest, "quick", parse_overrides(["seeds=[3,3,1]", "policies=shuffled,shuffled"])
    )
    assert [(r.config["policy"], r.config["seed"]) for r in plan.runs] == [
        ("shuffled", 3),
        ("shuffled", 1),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1", {"x": [1]}),
        ("x=0.5,1e3,abc,true", {"x": [0.5, 1000.0, "abc", True]}),
        ("x=[1, [2, 3]]", {"x": [1, [2, 3]]}),
        ("x={kind: sum}", {"x": [{"kind": "sum"}]}),
        ("a.b=1=2", {"a.b": ["1=2"]}),
    ],
)
def test_overrides_are_read_as_yaml(text: str, expected: dict[str, list[Any]]) -> None:
    assert parse_overrides([text]) == expected


BAD_OVERRIDES = [
    "x", "=1", "x=", "x=[1", "x={", "x=.nan", "x=2024-01-02", "x=[]", "seeds=[]", "policies=[]",
    "seeds=-1", "seeds=a", "seeds=0.5", "seeds=true", "seeds=[[1]]", "seeds=4294967296",
    "policies=arival", "policies={a: 1}", "policies=[[a]]", "policies=null", "X!=1", " =1",
    "y=1", "x=abc", "x=null", "count=0", "mode=slo", "part.kind=partial", "part=1", "x.y=1",
    "z=1", "score=1", "x=!!python/name:os.system",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_OVERRIDES)
def test_bad_overrides_are_one_clear_error(make: Make, text: str) -> None:
    manifest = make(**COMPARED, axes=[{"grid": {"x": [1.0]}}, {"zip": {"mode": ["slow"]}}])
    with pytest.raises(InputError, match=r"\w{3}"):
        make_plan(manifest, "quick", parse_overrides([text]))


def test_an_override_of_side_by_side_values_is_refused(make: Make) -> None:
    manifest = make(**COMPARED, axes=[{"zip": {"x": [1], "count": [2]}}])
    with pytest.raises(InputError, match="belongs to a zip block"):
        ids(manifest, x=[3])


def test_policies_cannot_be_overridden_where_none_are_compared(make: Make) -> None:
    with pytest.raises(InputError, match="compares no policies"):
        ids(make(), policies=["arrival"])


def test_more_runs_than_anybody_wants_are_refused_soon(make: Make) -> None:
    manifest = make(axes=[{"grid": {"x": list(range(100))}}])
    with pytest.raises(InputError, match="300000 runs"):
        ids(manifest, seeds=list(range(3000)))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of three files that import each other in the ways that there are."""
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)
    for name, text in {
        "sim/__init__.py": "",
        "sim/one.py": "import os\ndef f():\n    from sim.part import two\n",
        "sim/part/__init__.py": "",
        "sim/part/two.py": "from . import three\nfrom .four import x\n",
        "sim/part/three.py": "from ..one import f\n",
        "sim/part/four.py": "x = 1\n",
        "sim/part/unused.py": "x = 1\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_closure_follows_every_form_of_import(project: Path) -> None:
    found = {str(p.relative_to(project / "sim")) for p in closure([project / "sim/one.py"])}
    parts = {f"part/{name}.py" for name in ("__init__", "two", "three", "four")}
    assert found == {"one.py", "__init__.py"} | parts


def test_fingerprint_changes_with_code_that_is_used_and_only_then(project: Path) -> None:
    entry = project / "sim/one.py"
    before = fingerprint([entry])
    (project / "sim/part/unused.py").write_text("x = 2\n")
    assert fingerprint([entry]) == before
    (project / "sim/part/four.py").write_text("x = 22\n")
    assert fingerprint([entry]) != before


def test_fingerprint_holds_the_data_that_the_code_names(project: Path) -> None:
    entry, folder = project / "sim/one.py", project / "sim/rules"
    entry.write_text('RULE = "mine.rule"\nTEXT = "not a *.rule"\nW = "net.safetensors"\n')
    folder.mkdir()
    for name in ("mine.rule", "other.rule", "net.safetensors", "net.json"):
        (folder / name).write_text("1")
    named = {path.name for path in closure([entry])} - {"one.py"}
    assert named == {"mine.rule", "net.safetensors", "net.json"}
    before = fingerprint([entry])
    (folder / "other.rule").write_text("2")
    assert fingerprint([entry]) == before
    (folder / "mine.rule").write_text("22")
    assert fingerprint([entry]) != before


def test_fingerprint_holds_data_beside_a_neighbouring_package(project: Path) -> None:
    """One that shares the package; what lies further away is not looked for."""
    entry, apart = project / "sim/part/two.py", project / "other/data"
    entry.write_text('RULE, FAR = "mine.rule", "far.rule"\n')
    folder = project / "sim/neighbour/rules"
    for place, name in ((folder, "mine.rule"), (folder, "other.rule"), (apart, "far.rule")):
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("1")
    assert {path.name for path in closure([entry])} == {"two.py", "mine.rule"}
    (project / "sim/one.py").write_text('RULE = "mine.rule"\n')
    assert {path.name for path in closure([project / "sim/one.py"])} == {"one.py"}


def test_fingerprint_is_of_the_text_not_of_the_place_or_time(project: Path, tmp_path: Path) -> None:
    before = fingerprint([project / "sim/one.py"])
    four = project / "sim/part/four.py"
    four.write_text(four.read_text())
    assert fingerprint([project / "sim/one.py"]) == before


def test_code_changes_the_fingerprint_and_not_the_id(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make(**COMPARED)
    before = make_plan(manifest, "quick").runs
    monkeypatch.setattr("experiments.plan._fingerprint", lambda files: "other code")
    after = make_plan(manifest, "quick").runs
    assert [r.id for r in after] == [r.id for r in before]
    assert {r.fingerprint for r in after} == {"other code"}
    assert len({r.fingerprint for r in before}) == 2  # one per policy


def test_a_runs_fingerprint_holds_its_kind_and_its_policy(tmp_path: Path) -> None:
    """A plug-in outside of the project counts by its content."""
    policy = ROOT / "policies/ordering/arrival.py"
    kind = Path(__file__).with_name("plugin_compared.py")
    assert code_fingerprint("compared", "arrival") == fingerprint([kind, policy])
    copy = tmp_path / "policy.py"
    shutil.copy(policy, copy)
    one = fingerprint([copy])
    copy.write_text(copy.read_text() + "# changed\n")
    assert fingerprint([copy]) != one
