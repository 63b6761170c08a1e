"""What tests of records write down: made-up candidates under one key."""

from __future__ import annotations

from tests.tuning.fakes import OPERATOR, FakeSpace, made_up
from tuning.profile import ProfileSettings
from tuning.records import RecordKey
from tuning.space import Measurement

KEY = RecordKey.of(OPERATOR, FakeSpace(), ProfileSettings(threads=1))
CANDIDATES = made_up(OPERATOR, 50)


def ok(number: int, time_ns: float = 5.0) -> Measurement:
    """Return the measurement of a candidate that ran."""
    return Measurement(CANDIDATES[number], "ok", time_ns, time_ns, time_ns, 3)
