"""Records among lines that are none: skipped, told, and never believed."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuning.recorded import KEY, ok
from tuning.records import Entry, Records, RecordsWarning


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "records.jsonl"


def line(**changes: object) -> bytes:
    values = json.loads(Entry(KEY, ok(1), 1).line())
    measurement = values["measurement"] | changes.pop("measurement", {})
    return json.dumps(values | {"measurement": measurement} | changes).encode()


HOSTILE = [
    b"\x00\xff\xfe garbage",
    b"{",
    b"[" * 5000,
    b"null",
    b"{}",
    b'{"schema":1,"id":"' + b"0" * 24 + b'","rest',
    b"__import__('os').system('touch /tmp/never')",
    b"x" * 100_000,
    line(schema=99),
    line(id="0" * 24),
    line(at_ns="now"),
    line(at_ns=-1),
    line(at_ns=time.time_ns() + 2 * 86_400 * 10**9),
    line(at_ns=10**30),
    line(final=1),
    line(key=[]),
    line(key={"operator": "x"}),
    line(measurement={"status": "splendid"}),
    line(measurement={"median_ns": -5.0}),
    line(measurement={"median_ns": 0.0}),
    line(measurement={"median_ns": "fast"}),
    line(measurement={"median_ns": 10**400}),
    line(measurement={"samples": True}),
    line(measurement={"candidate": {"template": 3}}),
    line(measurement={"candidate": {"template": "a", "compiled": {"x": [1]}, "runtime": {}}}),
    line().replace(b"5.0", b"NaN"),
    line().replace(b"5.0", b"1e999"),
]


@pytest.mark.parametrize("garbage", HOSTILE)
def test_a_line_that_is_no_record_is_skipped_and_told(path, garbage):
    Records(path).append(KEY, [ok(1)])
    with path.open("ab") as file:
        file.write(garbage + b"\n")
    Records(path).append(KEY, [ok(2)])
    records = Records(path)
    with pytest.warns(RecordsWarning, match="line 2"):
        found = [entry.measurement for entry in records.everything()]
    assert found == [ok(1), ok(2)]
    assert records.skipped == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordsWarning)
        assert Records(path).find(KEY) == [ok(1), ok(2)]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_between_records_lose_one(tmp_path_factory, garbage):
    path = tmp_path_factory.mktemp("records") / "r.jsonl"
    Records(path).append(KEY, [ok(1)])
    with path.open("ab") as file:
        file.write(garbage)
    Records(path).append(KEY, [ok(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordsWarning)
        assert Records(path).find(KEY) == [ok(1), ok(2)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
PLACES = [
    (),
    *((name,) for name in ("schema", "id", "at_ns", "final", "key", "measurement")),
    *(("key", name) for name in json.loads(Entry(KEY, ok(1), 1).line())["key"]),
    *(("measurement", name) for name in json.loads(Entry(KEY, ok(1), 1).line())["measurement"]),
    *(("measurement", "candidate", name) for name in ("template", "compiled", "runtime")),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), json_values)
def test_any_value_anywhere_is_a_record_or_a_clear_refusal(place, value):
    values = json.loads(Entry(KEY, ok(1), 1).line())
    inner = values
    for name in place[:-1]:
        inner = inner[name]
    if place:
        inner[place[-1]] = value
    else:
        values = value
    try:
        entry = Entry.parse(json.dumps(values).encode())
    except ValueError:
        return
    assert Entry.parse(entry.line()) == entry
