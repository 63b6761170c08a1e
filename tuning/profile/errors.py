"""When there is no time to answer with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tuning.operators import Operator
from tuning.space import Measurement

_LONGEST = 300
_MOST = 3


class NothingMeasuredError(RuntimeError):
    """Not one candidate of an operator has a time; the message counts why, and quotes some."""

    @classmethod
    def of(cls, operator: Operator, found: Iterable[Measurement]) -> NothingMeasuredError:
        """Return the error for what became of the candidates."""
        found = list(found)
        if not found:
            return cls(f"{operator.text()}: the search measured no candidate at all")
        counts = Counter(measurement.status for measurement in found)
        told = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        firsts = {(m.status, m.message): m for m in reversed(found)}
        lines = [
            f"  {m.status}: {m.message[:_LONGEST]} ({m.candidate.text()})" for m in firsts.values()
        ]
        return cls("\n".join([f"{operator.text()}: nothing measured: {told}", *lines[-_MOST:]]))


class TooLargeError(NothingMeasuredError):
    """An operator does not fit the memory of this machine, so that no candidate can be measured."""
