"""The store of measurements: append-only JSON lines, one record per candidate."""

from tuning.records.belief import believed
from tuning.records.entry import Entry, RecordKey, text_of
from tuning.records.store import Records, RecordsError, RecordsWarning

__all__ = ["Entry", "RecordKey", "Records", "RecordsError", "RecordsWarning", "believed", "text_of"]
