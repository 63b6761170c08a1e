"""Records: what was appended is found again, whatever else is in the file."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuning.fakes import OPERATOR, FakeSpace
from tests.tuning.recorded import CANDIDATES, KEY, ok
from tuning.operators import Conv2d, Gemm, Pair
from tuning.profile import ProfileSettings
from tuning.records import Entry, RecordKey, Records, RecordsError, RecordsWarning
from tuning.records.entry import STATUSES
from tuning.space import OUT_OF_BUDGET, Candidate, Measurement

times = st.floats(0.001, 1e15)
measurements = st.builds(
    Measurement,
    candidate=st.sampled_from(CANDIDATES),
    status=st.sampled_from(STATUSES),
    median_ns=times,
    low_ns=times,
    high_ns=times,
    samples=st.integers(0, 100),
    compile_s=times,
    measure_s=times,
    message=st.text(max_size=40),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "records.jsonl"


@settings(max_examples=50, deadline=None)
@given(st.lists(measurements, unique_by=lambda m: m.candidate))
def test_what_was_appended_is_found(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("records") / "r.jsonl"
    Records(path).append(KEY, found)
    assert Records(path).find(KEY) == found


def test_a_file_that_is_absent_holds_nothing(path):
    assert Records(path).find(KEY) == []
    assert not path.exists()


def test_the_newest_of_a_candidate_counts(path):
    records = Records(path)
    records.append(KEY, [ok(1, 9.0), ok(2, 8.0)])
    records.append(KEY, [ok(1, 7.0)], final=True)
    assert records.find(KEY) == [ok(1, 7.0), ok(2, 8.0)]
    assert [entry.final for entry in records.entries(KEY)] == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        {"threads": 2},
        {"cache": "cold"},
        {"version": "2"},
        {"toolchain": "g++ 99"},
        {"device": "another"},
        {"library": "cutlass"},
        {"checked": False},
        {"operator": "{}"},
    ],
)
def test_circumstances_that_differ_do_not_answer(path, other):
    records = Records(path)
    records.append(KEY, [ok(1)])
    assert records.find(replace(KEY, **other)) == []


def test_keys_tell_operators_layouts_and_alignments_apart():
    one, space = ProfileSettings(threads=1), FakeSpace()
    conv = Conv2d(1, 8, 8, 46, 32, padding=(1, 1))
    point = Conv2d(1, 8, 8, 32, 32, (1, 1))
    operators = [OPERATOR, Gemm(8, 8, 8, constant_b=False), conv, Pair(conv, point)]
    keys = [RecordKey.of(operator, space, one) for operator in operators]
    assert len({key.digest for key in keys}) == len(keys)
    assert [key.alignment for key in keys] == [8, 8, 2, 2]
    assert keys[2].layouts == "NHWC OHWI NHWC"


def test_what_another_object_appends_is_seen(path):
    one, other = Records(path), Records(path)
    one.append(KEY, [ok(1)])
    assert len(other.find(KEY)) == 1
    one.append(KEY, [ok(2)])
    assert len(other.find(KEY)) == 2


def test_a_file_that_was_replaced_is_read_anew(path):
    records = Records(path)
    records.append(KEY, [ok(1), ok(2)])
    assert len(records.find(KEY)) == 2
    path.unlink()
    Records(path).append(KEY, [ok(3)])
    assert records.find(KEY) == [ok(3)]
    path.unlink()
    assert records.find(KEY) == []


def test_candidates_out_of_budget_are_no_records(path):
    late = Measurement(CANDIDATES[1], "rejected", message=OUT_OF_BUDGET)
    illegal = Measurement(CANDIDATES[2], "rejected", message="too large")
    Records(path).append(KEY, [late, illegal])
    assert Records(path).find(KEY) == [illegal]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_times_that_are_none_are_refused_and_nothing_is_written(path, bad):
    Records(path).append(KEY, [ok(1)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="low_ns"):
        Records(path).append(KEY, [ok(2), replace(ok(3), low_ns=bad)])
    assert path.read_bytes() == before


def test_a_record_in_another_order_of_fields_counts(path):
    values = json.loads(Entry(KEY, ok(1), 1).line())
    path.parent.mkdir()
    path.write_text(json.dumps(values, sort_keys=True, indent=None) + "\n")
    assert Records(path).find(KEY) == [ok(1)]


@pytest.mark.parametrize("kept", [1, 30, 200, -1])
def test_a_last_line_cut_short_is_told_and_the_next_record_begins_a_line(path, kept):
    Records(path).append(KEY, [ok(1), ok(2)])
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n" + second[:kept])
    with pytest.warns(RecordsWarning, match="line 2: cut short"):
        assert Records(path).find(KEY) == [ok(1)]
    Records(path).append(KEY, [ok(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordsWarning)
        assert Records(path).find(KEY) == [ok(1), ok(3)]


def test_a_line_cut_short_is_told_once(path):
    Records(path).append(KEY, [ok(1)])
    with path.open("ab") as file:
        file.write(b'{"schema":1,')
    records = Records(path)
    with pytest.warns(RecordsWarning, match="cut short"):
        assert records.find(KEY) == [ok(1)]
    assert records.find(KEY) == [ok(1)]  # a second warning would be an error


def test_a_candidate_of_another_type_is_another_candidate(path):
    one, true = (Candidate.of("gemm", {"unroll": value}, {}) for value in (1, True))
    records = Records(path)
    records.append(KEY, [Measurement(one, "ok", 5.0, 5.0, 5.0, 3)])
    records.append(KEY, [Measurement(true, "ok", 1.0, 1.0, 1.0, 3)])
    assert [m.median_ns for m in records.find(KEY)] == [5.0, 1.0]


def test_a_record_cut_short_by_its_newline_alone_is_not_lost(path):
    Records(path).append(KEY, [ok(1)])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    Records(path).append(KEY, [ok(2)])
    assert Records(path).find(KEY) == [ok(1), ok(2)]


def test_a_disk_that_is_full_leaves_earlier_records_intact(path):
    Records(path).append(KEY, [ok(1)])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(RecordsError, match=r"records\.jsonl: records cannot be written"):
            Records(path).append(KEY, [ok(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_an_error_of_the_disk_is_told(path, monkeypatch):
    Records(path).append(KEY, [ok(1)])
    before = path.read_bytes()

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RecordsError, match="No space left on device"):
        Records(path).append(KEY, [ok(2)])
    assert path.read_bytes() == before


def test_a_path_that_is_a_folder_or_under_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "records.jsonl"):
        with pytest.raises(RecordsError, match="cannot be written"):
            Records(bad).append(KEY, [ok(1)])
        with pytest.raises(RecordsError, match="cannot be read"):
            Records(bad).find(KEY)


def test_a_file_beyond_the_limit_is_refused(path, monkeypatch):
    Records(path).append(KEY, [ok(1)])
    monkeypatch.setattr("tuning.records.store.LARGEST_FILE", 10)
    with pytest.raises(RecordsError, match="more than 10"):
        Records(path).find(KEY)


def _append_some(path: Path, worker: int) -> None:
    for round_ in range(10):
        Records(path).append(KEY, [ok(worker), replace(ok(worker + 10), samples=round_)])


def test_processes_that_append_at_once_lose_nothing(path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_some, args=(path, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(Records(path).everything()) == 80
    assert len(Records(path).find(KEY)) == 8


def test_merging_takes_the_newest_once(tmp_path):
    one, two, into = (tmp_path / name for name in ("one", "two", "into"))
    Records(one).append(KEY, [ok(1, 9.0), ok(2, 9.0)])
    Records(two).append(KEY, [ok(2, 8.0), ok(3, 8.0)], final=True)
    Records(into).append(KEY, [ok(4, 7.0)])
    assert Records.merge([one, two], into) == 3
    assert set(Records(into).find(KEY)) == {ok(1, 9.0), ok(2, 8.0), ok(3, 8.0), ok(4, 7.0)}
    assert {e.measurement.candidate for e in Records(into).entries(KEY) if e.final} == {
        *CANDIDATES[2:4]
    }
    before = into.read_bytes()
    assert Records.merge([one, two, into], into) == 0
    assert into.read_bytes() == before


def test_merging_what_is_absent_is_told(tmp_path):
    with pytest.raises(RecordsError, match="missing"):
        Records.merge([tmp_path / "missing"], tmp_path / "into")


def test_only_the_lines_of_the_asked_key_are_parsed(path, monkeypatch):
    keys = [replace(KEY, operator=f"{number}") for number in range(100)]
    path.parent.mkdir()
    with path.open("wb") as file:
        for key in keys:
            for number in range(20):
                file.write(Entry(key, ok(number), number).line() + b"\n")
    parsed, parse = [], Entry.parse
    monkeypatch.setattr(Entry, "parse", lambda line: parsed.append(line) or parse(line))
    assert len(Records(path).find(keys[50])) == 20
    assert len(parsed) == 20
