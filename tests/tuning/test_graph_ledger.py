"""Decisions on record: round trips, damaged lines, full disks, answers without measuring."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.graph.ledger import Ledger, Verdict
from tuning.graph.options import Choice
from tuning.graph.plain import choice_from_dict, choice_to_dict
from tuning.operators import Gemm, Operator
from tuning.records import RecordKey, RecordsError, RecordsWarning
from tuning.space import Candidate

times = st.floats(0, 1e15, allow_nan=False)
instead = st.none() | st.builds(Gemm, *(st.integers(1, 99) for _ in range(3)))
choices = st.builds(Choice, instead, times, times, st.booleans(), st.text())
KEY = RecordKey("{}", "a=float32", "row-major", 1, "cpu", "v", "g++", "here", 1, "warm", True)
OTHER = dataclasses.replace(KEY, device="elsewhere")
CHOICE = Choice(Gemm(1, 2, 4), 2.0, 1.0, True, "said the test")
KERNELS: dict[Operator, Candidate | None] = {
    Gemm(1, 2, 3): Candidate.of("gemm", {"tile_rows": 4}, {"threads": 2}),
    Gemm(1, 2, 4): None,
}
GOOD = Verdict(CHOICE, KERNELS)
BAD = Verdict(dataclasses.replace(CHOICE, applied=False), KERNELS)


@given(choice=choices)
def test_a_choice_survives_json(choice: Choice) -> None:
    told = json.loads(json.dumps(choice_to_dict(choice)))
    assert choice_from_dict(told) == choice


def test_what_was_appended_is_found_by_a_later_reader_and_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "decisions.jsonl"
    first = Ledger(path)
    assert first.find("pair", KEY) is None
    first.append("pair", KEY, GOOD)
    first.append("pair", KEY, BAD)
    first.append("padding", KEY, GOOD)
    for ledger in (first, Ledger(path)):
        assert ledger.find("pair", KEY) == BAD
        assert ledger.find("padding", KEY) == GOOD
        assert ledger.find("pair", OTHER) is None


HOSTILE = (
    *(b"", b"{", b"[]", b"null", b'{"kind": 1}', b"\xff\xfe", b"[" * 100_000, b"9" * 10_000),
    b'{"kind": "pair", "key": "k", "applied": true}',
    b'{"kind": "pair", "key": "k", "kernels": [1]}',
    b'{"kind": "pair", "key": "k", "kernels": [[{"kind": "gemm"}, null]]}',
    json.dumps(
        {"kind": "pair", "key": "k", "kernels": []} | choice_to_dict(CHOICE) | {"with_ns": 10**400}
    ).encode(),
)


@pytest.mark.parametrize("line", HOSTILE)
def test_a_damaged_line_costs_itself_alone(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "decisions.jsonl"
    Ledger(path).append("pair", KEY, GOOD)
    with path.open("ab") as stream:
        stream.write(line)  # no newline: a writer was killed
    with pytest.warns(RecordsWarning, match="line 2 is skipped") if line else _quiet():
        again = Ledger(path)
    again.append("padding", KEY, GOOD)
    with pytest.warns(RecordsWarning) if line else _quiet():
        last = Ledger(path)
    assert (last.find("pair", KEY), last.find("padding", KEY)) == (GOOD, GOOD)


def _quiet() -> Any:
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("without_ns", value) for value in (-1.0, "x", None, True, 10**400)),
        *(("applied", 1), ("reason", 3), ("instead", {"kind": "gemm"}), ("more", 1)),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        choice_from_dict(choice_to_dict(CHOICE) | {field: value})


def test_a_folder_in_the_files_place_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="decisions cannot be read"):
        Ledger(tmp_path)


def test_a_full_disk_leaves_earlier_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "decisions.jsonl"
    ledger = Ledger(path)
    ledger.append("pair", KEY, GOOD)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("tuning.records.appending.os.write", lambda fd, data: 3)
        with pytest.raises(RecordsError, match="disk full"):
            ledger.append("padding", KEY, GOOD)
    assert path.read_bytes() == before
