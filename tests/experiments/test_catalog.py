"""The catalogue of experiments: fresh when anything changed, otherwise not made again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments import catalog
from experiments.catalog import Entry, entries, manifest_of, select
from experiments.check import load_manifest
from experiments.kinds.base import Outcome
from experiments.listing import State, as_json, states
from experiments.paths import ROOT, cache_root, data_root
from experiments.plan import make_plan
from experiments.problems import InputError, InvalidManifest
from experiments.store import Store
from tests.experiments.harness import write_manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two manifests in place of the project's."""
    home = tmp_path / "manifests"
    monkeypatch.setattr(catalog, "MANIFESTS", home)
    monkeypatch.setattr("experiments.check.MANIFESTS", home)
    add(home, "mine/first", seeds=2)
    add(home, "yours/second-one", axes=[{"grid": {"x": [1.0, 2.0]}}])
    return home


def add(home: Path, name: str, **fields: object) -> Path:
    path = home / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_manifest(path.parent, id=name, **fields).rename(path)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that grows by each manifest that is really read."""
    real, seen = catalog._read, []
    monkeypatch.setattr(catalog, "_read", lambda path: seen.append(path) or real(path))
    return seen


def test_entries_say_what_the_manifests_say(folder: Path) -> None:
    first, second = entries()
    assert (first.id, second.id) == ("mine/first", "yours/second-one")
    assert (first.paper, first.panel, first.promise) == ("mine", "serving", "L0")
    plan = make_plan(load_manifest(folder / "mine/first.yaml"), "quick")
    assert [run[0] for run in first.runs["quick"]] == [spec.id for spec in plan.runs]
    assert first.fingerprints[first.runs["quick"][0][1]] == plan.runs[0].fingerprint
    assert {size: len(runs) for size, runs in second.runs.items()} == dict.fromkeys(
        ("quick", "standard", "paper"), 2
    )


def test_a_manifest_of_the_catalogue_is_that_of_the_file() -> None:
    for entry in entries()[::9]:
        from_file = load_manifest(ROOT / entry.file)
        assert manifest_of(entry) == from_file
        for size in catalog.SIZES:
            found, wanted = (make_plan(one, size) for one in (manifest_of(entry), from_file))
            assert found.runs == wanted.runs


def test_a_second_look_reads_no_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = entries(), reads(monkeypatch)
    assert entries() == before
    assert seen == []


def test_any_change_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest edited, added, removed; a data file that appears, also behind a link."""
    entries()
    seen = reads(monkeypatch)

    def made_again() -> list[Entry]:
        found, count = entries(), len(seen)
        seen.clear()
        assert count == len(found)
        return found

    add(folder, "mine/first", seeds=7)
    assert len(made_again()[0].runs["quick"]) == 7
    add(folder, "mine/third")
    assert len(made_again()) == 3
    (folder / "mine/third.yaml").unlink()
    assert len(made_again()) == 2
    data_root().mkdir(parents=True)
    (data_root() / "trace.csv").write_text("x")
    made_again()
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (data_root() / "traces").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(data_root())
    (elsewhere / "trace.csv").write_text("x")
    made_again()
    (elsewhere / "trace.csv").write_text("other")
    made_again()


def test_a_changed_source_file_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder.parent / "sim" / "new.py"
    source.parent.mkdir()
    monkeypatch.setattr(catalog, "ROOT", folder.parent)
    before = catalog._key()
    source.write_text("x = 1\n")
    after = catalog._key()
    assert after != before
    (source.parent / "__pycache__").mkdir()
    (source.parent / "__pycache__/new.pyc").write_text("x")
    (source.parent / "notes.txt").write_text("x")
    assert catalog._key() == after
    (source.parent / "mine.rule").write_text("x")
    assert catalog._key() != after


def test_a_damaged_cache_is_made_again(folder: Path) -> None:
    before = entries()
    (cache_root() / "catalog.json").write_text("{")
    assert entries() == before


def test_a_cache_that_cannot_be_written_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_root().parent.mkdir(parents=True, exist_ok=True)
    cache_root().write_text("a file in the way")
    assert len(entries()) == 2


def test_faults_of_all_manifests_come_at_once(folder: Path) -> None:
    add(folder, "mine/bad", panel="none")
    (folder / "yours/worse.yaml").write_text("[")
    with pytest.raises(InvalidManifest) as caught:
        entries()
    assert {Path(p.file).name for p in caught.value.problems} == {"bad.yaml", "worse.yaml"}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["*"], ["mine/first", "yours/second-one"]),
        (["mine/*"], ["mine/first"]),
        (["first"], ["mine/first"]),
        (["second-*"], ["yours/second-one"]),
        (["*/f*", "mine/first"], ["mine/first"]),
        (["second-one", "first"], ["mine/first", "yours/second-one"]),
        (["[fx]irst"], ["mine/first"]),
    ],
)
def test_select_by_name_or_glob(folder: Path, patterns: list[str], names: list[str]) -> None:
    assert [entry.id for entry in select(patterns, entries())] == names


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("mine/frist", "mine/first"),
        ("secondone", "second-one"),
        ("yours/sec", "yours/second-one"),
    ],
)
def test_what_matches_nothing_offers_the_nearest(folder: Path, pattern: str, near: str) -> None:
    with pytest.raises(InputError, match=f"did you mean '{near}'"):
        select([pattern], entries())
    with pytest.raises(InputError, match=f"did you mean '{near}'"):
        select(["*", pattern], entries())


@pytest.mark.parametrize("pattern", ["", "zzzz*", "[", "mine/first/", "../mine/first"])
def test_odd_patterns_are_no_match(folder: Path, pattern: str) -> None:
    with pytest.raises(InputError, match="no experiment matches"):
        select([pattern], entries())


def test_states_of_experiments(folder: Path, tmp_path: Path) -> None:
    """never, then partial, done; stale where other code made a run; failed above all."""
    store, (entry, _) = Store(tmp_path / "results"), entries()
    (one, mark), (two, _) = entry.runs["quick"]
    code = entry.fingerprints[mark]

    def state() -> State:
        return states(entries(), "quick", store)["mine/first"]

    assert (state().word, state()) == ("never", State(2, 0, 0, 0))
    store.put(one, Outcome({}), {"fingerprint": code})
    assert (state().word, state()) == ("partial", State(2, 1, 0, 0))
    store.put_failure(two, {"reason": "x"})
    assert (state().word, state()) == ("failed", State(2, 1, 1, 0))
    store.put(two, Outcome({}), {"fingerprint": code})
    assert (state().word, state()) == ("done", State(2, 2, 0, 0))
    store.put_failure(two, {"reason": "a refresh failed; the result is still there"})
    assert state().word == "done"
    store.put(two, Outcome({}), {"fingerprint": "old"})
    assert (state().word, state()) == ("stale", State(2, 2, 0, 1))


def test_listing_as_json_has_the_keys_of_the_contract(folder: Path) -> None:
    add(folder, "mine/first", needs=["gpu", "tvm"])
    entry = entries()[0]
    found = as_json(entry, State(2, 1, 0, 0), {"gpu"})
    assert " ".join(found) == (
        "id paper panel artefact title claims policies needs available promise seconds runs state"
    )
    assert list(found["runs"]) == ["planned", "done", "failed", "stale"]
    assert (found["available"], found["needs"], found["state"]) == (
        False,
        ["gpu", "tvm"],
        "partial",
    )
    assert as_json(entry, State(2, 1, 0, 0), {"gpu", "tvm"})["available"]


def test_manifests_of_the_project_are_all_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ones: each readable, each claim of a run that its sweep has."""
    found = entries()
    assert [e.id for e in found] == sorted(e.id for e in found)
    assert len({e.id for e in found}) == len(found) == len(list(catalog.MANIFESTS.glob("*/*.yaml")))
    assert found
    for entry in found:
        assert all(entry.runs[size] for size in catalog.SIZES)
        assert os.path.exists(os.path.join(catalog.ROOT, entry.file))
