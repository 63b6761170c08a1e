"""Which records can be true: a file of them may be old, damaged, or somebody else's."""

from __future__ import annotations

from tuning.operators import Operator
from tuning.records.entry import Entry, RecordKey
from tuning.records.store import Records
from tuning.templates.base import TemplateLibrary

MOST_PEAKS = 100
"""A time that claims more than this multiple of the device's peak is not believed."""


def believed(
    operator: Operator, library: TemplateLibrary, records: Records, key: RecordKey
) -> dict[str, Entry]:
    """Return candidate's text -> its newest record under `key`, absurd times left out.

    A `RecordsWarning` counts what was left out. Whether the library proposes the candidate is for
    the caller to see; that it compares texts (`text_of`) keeps `true` apart from 1.

    Raises:
        RecordsError: the file is there and cannot be read.
    """
    peak = MOST_PEAKS * library.device.flops * library.device.cores
    least_ns = operator.flops / peak * 1e9
    return {entry.candidate: entry for entry in records.entries(key, least_ns)}
