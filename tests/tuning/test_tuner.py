"""The tuner: budgets, records that spare measuring, the last comparison, replay."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.search.base import Budget
from tests.needs import need
from tests.tuning.fakes import OPERATOR, FakeLibrary, FakeProfiler, FakeSpace
from tuning.compile import ObjectCache
from tuning.operators import Gemm
from tuning.profile import NothingMeasuredError, Profiler, ProfileSettings
from tuning.records import RecordKey, Records, RecordsWarning
from tuning.space import Candidate, Measurement
from tuning.templates.base import TemplateLibrary
from tuning.tuner import FINALISTS, NotRecordedError, Progress, Tuned, replay, tune

QUICK = ProfileSettings(threads=2)
LONG = Budget(trials=1000, seconds=1000.0)


def fake(times_ns: dict[int, float]) -> FakeProfiler:
    return FakeProfiler(QUICK, times_ns)


def run(profiler: FakeProfiler, search: Any = "exhaustive", **more: Any) -> Tuned:
    budget = more.pop("budget", LONG)
    space = cast(TemplateLibrary, more.pop("space", FakeSpace()))
    return tune(OPERATOR, space, cast(Profiler, profiler), search, budget, **more)


def asked(profiler: FakeProfiler) -> list[int]:
    return [int(c.params["number"]) for call in profiler.asked for c in call]


TIMES = {number: 100.0 + (number - 17) ** 2 for number in range(40)}


def test_the_best_wins_and_the_account_adds_up():
    profiler = fake(TIMES)
    found = run(profiler)
    assert found.best.candidate.params["number"] == 17
    assert (found.trials, found.replayed, found.statuses) == (40, 0, {"ok": 40})
    assert found.measure_s == pytest.approx(0.01 * (40 + FINALISTS))
    assert found.seconds > 0


def test_the_last_comparison_is_among_the_best_and_side_by_side():
    profiler = fake(TIMES)
    run(profiler)
    assert sorted(c.params["number"] for c in profiler.asked[-1]) == [16, 17, 18]


def test_a_lucky_time_does_not_win_the_last_comparison():
    class Sobering(FakeProfiler):
        def measure(self, *arguments: Any, **more: Any) -> list[Measurement]:
            if "samples" in more:
                self.times_ns[17] = 500.0
            return super().measure(*arguments, **more)

    assert run(Sobering(QUICK, dict(TIMES))).best.candidate.params["number"] in (16, 18)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.integers(0, 39), st.floats(1.0, 1e9)),
    st.integers(1, 60),
    st.sampled_from(["exhaustive", "random", "model_pruned", "hardware_native"]),
    st.integers(0, 5),
)
def test_trials_stay_within_budget_and_history_only_improves(times, trials, search, seed):
    profiler = fake(times)
    try:
        found = run(profiler, search, budget=Budget(trials, 100.0), seed=seed)
    except NothingMeasuredError:
        assert not set(asked(profiler)) & set(times)
        return
    searched = [c for call in profiler.asked for c in call]
    assert found.trials <= trials
    assert len(set(searched)) == found.trials
    assert found.best.median_ns == min(
        times[int(c.params["number"])] for c in searched if int(c.params["number"]) in times
    )
    seconds = [second for second, _ in found.history]
    best = [time_ns for _, time_ns in found.history]
    assert seconds == sorted(seconds)
    assert best == sorted(best, reverse=True)
    assert best[-1] == found.best.median_ns
    assert sum(found.statuses.values()) == found.trials


def test_nothing_measured_is_an_error_that_counts_why():
    with pytest.raises(NothingMeasuredError, match="40 crashed") as caught:
        run(fake({}))
    assert "SIGSEGV" in str(caught.value)


def test_a_search_that_measures_nothing_is_told():
    class Idle:
        name, engine = "idle", "templates"

        def search(self, *_: Any) -> None:
            return None

    with pytest.raises(NothingMeasuredError, match="no candidate at all"):
        run(fake(TIMES), Idle())


def test_a_search_with_an_engine_of_its_own_is_refused():
    with pytest.raises(ValueError, match="metaschedule"):
        run(fake(TIMES), "metaschedule")


def test_records_spare_measuring_and_give_the_same_answer(tmp_path: Path):
    records = Records(tmp_path / "r.jsonl")
    first = run(fake(TIMES), records=records)
    profiler = fake(TIMES)
    again = run(profiler, records=Records(records.path))
    assert profiler.asked == []
    assert again.best == first.best
    assert (again.trials, again.replayed) == (first.trials, first.trials)


def test_a_search_that_was_cut_off_resumes(tmp_path: Path):
    records = Records(tmp_path / "r.jsonl")
    cut = fake(TIMES)
    run(cut, records=records, budget=Budget(10, 100.0))
    profiler = fake(TIMES)
    found = run(profiler, records=records)
    assert set(asked(profiler)) & set(asked(cut)) <= {c for c in asked(profiler)[-FINALISTS:]}
    assert (found.trials, found.replayed) == (40, 10)
    assert found.best.candidate.params["number"] == 17


def test_failures_are_on_record_too(tmp_path: Path):
    records = Records(tmp_path / "r.jsonl")
    run(fake({3: 5.0}), records=records)
    profiler = fake({3: 5.0})
    assert run(profiler, records=records).statuses == {"crashed": 39, "ok": 1}
    assert profiler.asked == []


def test_replay_gives_the_winner_without_a_profiler(tmp_path: Path):
    records, space = Records(tmp_path / "r.jsonl"), cast(TemplateLibrary, FakeSpace())
    first = run(fake(TIMES), records=records)
    assert tune(OPERATOR, space, None, "random", LONG, records).best == first.best
    assert replay(OPERATOR, space, QUICK, records).best == first.best


def test_replay_says_what_is_not_on_record(tmp_path: Path):
    records, space = Records(tmp_path / "r.jsonl"), cast(TemplateLibrary, FakeSpace())
    run(fake(TIMES), records=records)
    with pytest.raises(NotRecordedError, match=r"gemm 3x4x5 none: .*r\.jsonl.*fake.*2 threads"):
        replay(Gemm(3, 4, 5), space, QUICK, records)
    with pytest.raises(NotRecordedError, match="3 threads"):
        replay(OPERATOR, space, ProfileSettings(threads=3), records)
    with pytest.raises(ValueError, match="records"):
        tune(OPERATOR, space, None, "random", LONG)


def test_replay_believes_no_record_about_a_candidate_that_nobody_proposes(tmp_path: Path):
    records, space = Records(tmp_path / "r.jsonl"), cast(TemplateLibrary, FakeSpace())
    stranger = Candidate.of("gemm", {"tile_rows": "1>; int evil = system(0);"}, {})
    key = RecordKey.of(OPERATOR, space, QUICK)
    records.append(key, [Measurement(stranger, "ok", 0.01, 0.01, 0.01, 9)], final=True)
    with pytest.raises(NotRecordedError):
        replay(OPERATOR, space, QUICK, records)
    run(fake(TIMES), records=records)
    assert replay(OPERATOR, space, QUICK, records).best.candidate.params["number"] == 17


def test_a_record_that_only_equals_a_candidate_is_not_believed(tmp_path: Path):
    """In Python True == 1; in a source `true` is something else."""
    records, space = Records(tmp_path / "r.jsonl"), cast(TemplateLibrary, FakeSpace())
    twin = Candidate.of("gemm", {"number": True}, {"threads": True})
    assert twin == space.candidates(OPERATOR)[1]
    key = RecordKey.of(OPERATOR, space, QUICK)
    records.append(key, [Measurement(twin, "ok", 0.1, 0.1, 0.1, 9)], final=True)
    with pytest.raises(NotRecordedError):
        replay(OPERATOR, space, QUICK, records)
    profiler = fake(TIMES)
    assert run(profiler, records=records).best.candidate.params["number"] == 17
    assert 1 in asked(profiler)
    for found in (run(profiler, records=records), replay(OPERATOR, space, QUICK, records)):
        assert all(type(value) is int for value in found.best.candidate.params.values())


def test_a_time_that_no_device_reaches_is_not_believed(tmp_path: Path):
    records, space = Records(tmp_path / "r.jsonl"), cast(TemplateLibrary, FakeSpace())
    key = RecordKey.of(OPERATOR, space, QUICK)
    absurd = space.candidates(OPERATOR)[3]
    records.append(key, [Measurement(absurd, "ok", 1e-300, 1e-300, 1e-300, 9)], final=True)
    with (
        pytest.warns(RecordsWarning, match="1 times below 0.00512 ns"),
        pytest.raises(NotRecordedError),
    ):
        replay(OPERATOR, space, QUICK, records)
    with pytest.warns(RecordsWarning, match="not believed"):
        found = run(fake(TIMES), records=records)
    assert found.best.candidate.params["number"] == 17
    assert found.replayed == 0
    records.append(key, [Measurement(absurd, "ok", 1e-300, 1e-300, 1e-300, 9)], final=True)
    with pytest.warns(RecordsWarning, match="2 times"):
        assert replay(OPERATOR, space, QUICK, records).best == found.best


def test_waiting_for_other_measurements_is_no_tuning_time():
    class Waiting(FakeProfiler):
        def measure(self, *arguments: Any, **more: Any) -> list[Measurement]:
            self.waited_s += 1000.0
            return super().measure(*arguments, **more)

    profiler = Waiting(QUICK, TIMES, waited_s=5.0)
    found = run(profiler, "random", budget=Budget(40, 1e6))
    assert profiler.waited_s > 2000.0
    assert found.seconds < 0  # nothing was really waited for
    assert found.trials == 40


def test_progress_counts_up():
    told: list[Progress] = []
    run(fake(TIMES), "random", budget=Budget(40, 100.0), progress=told.append)
    assert [p.trials for p in told] == [16, 32, 40]
    assert all(math.isfinite(p.best_ns) and p.most == 40 for p in told)


def test_seconds_that_are_spent_end_the_search():
    class Slow(FakeProfiler):
        def measure(self, *arguments: Any, **more: Any) -> list[Measurement]:
            time.sleep(0.06)
            return super().measure(*arguments, **more)

    profiler = Slow(QUICK, TIMES)
    found = run(profiler, "random", budget=Budget(40, 0.05))
    assert found.trials == 16
    assert len(profiler.asked) == 1


def test_seconds_that_were_never_enough_are_named_as_the_reason():
    class Late(FakeProfiler):
        def measure(self, operator: Any, candidates: Any, **more: Any) -> list[Measurement]:
            return super().measure(operator, candidates, seconds=0.0)

    with pytest.raises(NothingMeasuredError, match="16 rejected") as caught:
        run(Late(QUICK, TIMES), "random")
    assert "out of budget" in str(caught.value)


def test_records_are_plain_json_lines(tmp_path: Path):
    run(fake(TIMES), records=Records(tmp_path / "r.jsonl"))
    for line in (tmp_path / "r.jsonl").read_text().splitlines():
        values = json.loads(line)
        assert values["schema"] == 1
        assert values["key"]["device"] == "fake"


def test_it_all_works_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    need("torch")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    library = cast(TemplateLibrary, FakeLibrary(kinds=("slow", "segfault", "good", "syntax")))
    records = Records(tmp_path / "r.jsonl")
    quick = ProfileSettings(threads=1, samples=2, min_sample_ns=1000)
    with Profiler(library, quick, ObjectCache(tmp_path / "o")) as profiler:
        found = tune(OPERATOR, library, profiler, "hardware_native", LONG, records)
    assert found.best.candidate.params["kind"] == "good"
    assert found.statuses == {"ok": 2, "crashed": 1, "compile_error": 1}
    assert replay(OPERATOR, library, quick, records).best == found.best
