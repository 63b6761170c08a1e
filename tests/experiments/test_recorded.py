"""Recorded results are drawn and judged like those that made them, and say what they are."""

import json

import pytest

from experiments import paths
from experiments.claims import check_claims
from experiments.figures.render import render
from experiments.problems import InputError
from experiments.recorded import record, recorded
from experiments.report import Entry, write_report
from experiments.reproduce import checks_on
from experiments.store import Store
from tests.figures.synthetic import manifest, results_of


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return results of a whole plan, recorded in a folder of the test's own."""
    monkeypatch.setattr(paths, "RECORDED", tmp_path / "recorded")
    results = results_of(manifest(), tmp_path / "store")
    record(results)
    return results


def test_a_record_gives_the_same_claims_and_says_that_it_is_one(made, tmp_path):
    """Values, intervals and verdicts are those of the runs; only the origin differs."""
    kept = recorded(made.manifest, Store(tmp_path / "empty"))
    assert kept is not None
    for before, after in zip(check_claims(made), check_claims(kept), strict=True):
        assert after.estimate == before.estimate
        assert after.verdict == before.verdict
        assert (before.origin, after.origin) == ("simulated", "recorded")
        assert "recorded" in after.sentence()
        assert after.as_json()["origin"] == "recorded"


def test_claims_fall_back_to_a_record_where_runs_lack(made, tmp_path):
    """With all runs of one's own, the record is not consulted; at another size neither."""
    own = checks_on(made.plan, made.store)
    assert {check.origin for check in own} == {"simulated"}
    empty = Store(tmp_path / "empty")
    assert {check.origin for check in checks_on(made.plan, empty)} == {"recorded"}
    assert recorded(made.manifest, empty, "paper") is None
    some = results_of(manifest(), tmp_path / "some", keep=lambda s: s.config["seed"] == 0)
    assert {check.origin for check in checks_on(some.plan, some.store)} == {"recorded"}


def test_a_record_is_drawn_beside_the_runs_and_reported(made, tmp_path):
    """The figure has a file of its own, the caption and the report say `recorded`."""
    kept = recorded(made.manifest, made.store)
    assert kept is not None
    drawn = render(kept, tmp_path / "figures")
    assert drawn.svg is not None
    assert drawn.svg.stem.endswith("-recorded")
    assert "recorded" in drawn.caption
    entries = [Entry(made, check_claims(made)), Entry(kept, check_claims(kept), drawn)]
    page = write_report(entries, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count(f'id="{entries[1].anchor}"') == 1 != page.count("recorded")


def test_a_changed_manifest_leaves_the_record_out(made):
    """Its runs are other runs."""
    changed = manifest(axes=[{"grid": {"overlap": [{"kind": "partial", "h": 0.123}]}}])
    assert recorded(changed, made.store) is None


def test_only_whole_and_current_results_are_recorded(tmp_path, monkeypatch):
    """A missing or a stale run is refused, and nothing is written."""
    monkeypatch.setattr(paths, "RECORDED", tmp_path / "recorded")
    some = results_of(manifest(), tmp_path / "some", keep=lambda s: s.config["seed"] == 0)
    old = results_of(manifest(), tmp_path / "old", fingerprint="earlier")
    for results in (some, old):
        with pytest.raises(InputError, match="only whole and current results"):
            record(results)
    assert not (tmp_path / "recorded").exists()


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"size": "huge", "runs": []}', '{"size": "quick", "runs": [1]}']
)
def test_a_damaged_record_is_named(made, damage):
    """The message has the file."""
    about = next(paths.RECORDED.rglob("*.json"))
    about.write_text(damage)
    with pytest.raises(InputError, match=f"{about.name} is damaged"):
        recorded(made.manifest, made.store)


def test_provenance_is_kept(made):
    """Commit, host and time of each run are in the file, and no path of the machine."""
    about = json.loads(next(paths.RECORDED.rglob("*.json")).read_text())
    assert {run["commit"] for run in about["runs"]} == {run["commit"] for run in made.provenance()}
    assert len(about["runs"]) == len(made.run_ids)
    assert str(made.store.root) not in json.dumps(about)
