"""One operator tuned: a search within its budget, records that spare measuring, a last comparison.

The last comparison ("playoff") measures the best few once more, side by side with more samples, so
that the winner of many is not the luckiest of many.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from policies.search.base import SEARCHES, Budget, TemplateSearch
from tuning.operators import Operator
from tuning.profile import NothingMeasuredError, Profiler, ProfileSettings
from tuning.records import Entry, RecordKey, Records, believed, text_of
from tuning.space import OUT_OF_BUDGET, Candidate, Measurement, best_of
from tuning.templates.base import TemplateLibrary

FINALISTS = 3
FINAL_SAMPLES = 2
"""The playoff takes this many times the samples of the settings."""


class NotRecordedError(NothingMeasuredError):
    """Replay was asked for, and the records hold no time for the operator."""


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        operator: what was tuned.
        best: the measurement that won.
        trials: candidates that the search asked for, those on record included.
        seconds: wall-clock time of all of it, less what other measurements on this machine were
            waited for.
        replayed: how many trials were answered from records.
        history: (seconds since the beginning, best time in ns until then), one per improvement; the
            last is the playoff's, which may be longer than a lucky time before it.
        compile_s: compiler seconds, summed over candidates.
        measure_s: seconds of running candidates.
        statuses: status -> number of trials.
    """

    operator: Operator
    best: Measurement
    trials: int
    seconds: float
    replayed: int
    history: list[tuple[float, float]] = field(default_factory=list)
    compile_s: float = 0.0
    measure_s: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """Where a search stands: trials so far, of at most how many, best time (infinite: none)."""

    operator: Operator
    trials: int
    most: int
    seconds: float
    best_ns: float


# paper: bolt 3.2.2
def tune(
    operator: Operator,
    library: TemplateLibrary,
    profiler: Profiler | None,
    search: TemplateSearch | str,
    budget: Budget,
    records: Records | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Tuned:
    """Return the best candidate that `search` finds within `budget`.

    Args:
        operator: what to tune.
        library: where candidates come from.
        profiler: measures them. None: nothing is measured, `replay` answers.
        search: a template search, or the name of one.
        budget: trials and seconds at most; the playoff's seconds count, its trials do not.
        records: candidates on record are not measured again; what is measured is added.
        seed: of the search's luck.
        progress: called after each batch of measurements.

    Raises:
        NothingMeasuredError: no candidate has a time; the message counts why.
        RecordsError: records cannot be read or written.
        ValueError: the search has an engine of its own, or there is neither profiler nor record.
    """
    if profiler is None:
        if records is None:
            raise ValueError("records: without a profiler there must be records to replay")
        return replay(operator, library, ProfileSettings(library.device.cores), records)
    chosen: TemplateSearch = SEARCHES.get(search)() if isinstance(search, str) else search
    if chosen.engine != "templates":
        raise ValueError(f"search {chosen.name}: is run by its own engine, {chosen.engine}")
    session = _Session(operator, library, profiler, budget, records, progress)
    chosen.search(operator, library, session.measure, budget, np.random.default_rng(seed))
    return session.finish()


def replay(
    operator: Operator, library: TemplateLibrary, settings: ProfileSettings, records: Records
) -> Tuned:
    """Return the best on record, measuring nothing.

    Parameters are rendered into source that is compiled and run, so a record is believed only about
    candidates that the library itself proposes.

    Raises:
        NotRecordedError: there is none for this operator, device, toolchain, ...
    """
    start = time.monotonic()
    key = RecordKey.of(operator, library, settings)
    entries = believed(operator, library, records, key)
    proposed = {text_of(c): c for c in library.native(operator)}
    if not set(entries) <= set(proposed):
        proposed |= {text_of(c): c for c in library.candidates(operator)}
    entries = [
        replace(e, measurement=replace(e.measurement, candidate=proposed[text]))
        for text, e in entries.items()
        if text in proposed
    ]
    best = best_of([e.measurement for e in entries if e.final])
    best = best or best_of([e.measurement for e in entries])
    if best is None:
        raise NotRecordedError(
            f"{operator.text()}: {records.path} has no time for it on {key.device}, "
            f"{key.threads} threads, cache {key.cache}, templates {key.library} {key.version}, "
            f"{key.toolchain}; tune it with a profiler first"
        )
    seconds, count = time.monotonic() - start, len(entries)
    statuses = dict(Counter(e.measurement.status for e in entries))
    history = [(seconds, best.median_ns)]
    return Tuned(operator, best, count, seconds, count, history, statuses=statuses)


class _Session:
    """The tuning of one operator: what a search's `measure` is bound to."""

    def __init__(
        self,
        operator: Operator,
        library: TemplateLibrary,
        profiler: Profiler,
        budget: Budget,
        records: Records | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.operator, self.profiler, self.budget = operator, profiler, budget
        self.records, self.progress = records, progress
        self.start, self.waited_s = time.monotonic(), profiler.waited_s
        self.key: RecordKey | None = None
        self.recorded: dict[str, Entry] = {}
        if records is not None:
            self.key = RecordKey.of(operator, library, profiler.settings)
            self.recorded = believed(operator, library, records, self.key)
        self.seen: dict[Candidate, Measurement] = {}
        self.late: dict[Candidate, Measurement] = {}
        self.replayed = 0
        self.history: list[tuple[float, float]] = []
        self.compile_s = self.measure_s = 0.0

    def elapsed_s(self) -> float:
        """Return the seconds since the beginning, without those that others measured in."""
        waited_s = self.profiler.waited_s - self.waited_s
        return time.monotonic() - self.start - waited_s

    def measure(self, candidates: Sequence[Candidate]) -> list[Measurement]:
        """Answer from what is known, measure the rest, within the budget."""
        fresh = [c for c in dict.fromkeys(candidates) if c not in self.seen]
        fresh = fresh[: max(0, self.budget.trials - len(self.seen))]
        known = {c: self.recorded[text_of(c)] for c in fresh if text_of(c) in self.recorded}
        self.seen |= {c: replace(e.measurement, candidate=c) for c, e in known.items()}
        self.replayed += len(known)
        left_s = self.budget.seconds - self.elapsed_s()
        unknown = [c for c in fresh if c not in known]
        if unknown and left_s > 0:
            found = self._profile(unknown, left_s)
            self.seen.update((m.candidate, m) for m in found if not _is_late(m))
        self._note()
        late = [Measurement(c, "rejected", message=OUT_OF_BUDGET) for c in candidates]
        self.late |= {m.candidate: m for m in late if m.candidate not in self.seen}
        return [self.seen.get(m.candidate, m) for m in late]

    def _profile(self, candidates: list[Candidate], seconds: float) -> list[Measurement]:
        found = self.profiler.measure(self.operator, candidates, seconds=seconds)
        self._account(found)
        if self.records is not None and self.key is not None:
            self.records.append(self.key, found)
        return found

    def _account(self, found: list[Measurement]) -> None:
        self.compile_s += sum(m.compile_s for m in found)
        self.measure_s += sum(m.measure_s for m in found)

    def _note(self) -> None:
        """Extend the history by an improvement, and tell how far it is."""
        best = best_of(list(self.seen.values()))
        best_ns = best.median_ns if best else math.inf
        if best and (not self.history or best_ns < self.history[-1][1]):
            self.history.append((self.elapsed_s(), best_ns))
        if self.progress is not None:
            told = (len(self.seen), self.budget.trials, self.elapsed_s(), best_ns)
            self.progress(Progress(self.operator, *told))

    def finish(self) -> Tuned:
        """Compare the best few once more, and return the winner."""
        ran = sorted((m for m in self.seen.values() if m.ok), key=lambda m: m.median_ns)
        if not ran:
            raise NothingMeasuredError.of(self.operator, [*self.seen.values(), *self.late.values()])
        best = self._playoff(ran)
        seconds = self.elapsed_s()
        if self.history[-1][1] != best.median_ns:
            self.history.append((seconds, best.median_ns))
        return Tuned(
            self.operator,
            best,
            len(self.seen),
            seconds,
            self.replayed,
            self.history,
            self.compile_s,
            self.measure_s,
            dict(Counter(m.status for m in self.seen.values())),
        )

    def _playoff(self, ran: list[Measurement]) -> Measurement:
        finals = {text for text, entry in self.recorded.items() if entry.final}
        decided = [m for m in ran if text_of(m.candidate) in finals]
        if self.replayed == len(self.seen) and decided:
            return decided[0]
        left_s = self.budget.seconds - self.elapsed_s()
        if len(ran) == 1 or left_s <= 0:
            return ran[0]
        finalists = [m.candidate for m in ran[:FINALISTS]]
        samples = FINAL_SAMPLES * self.profiler.settings.samples
        found = self.profiler.measure(self.operator, finalists, seconds=left_s, samples=samples)
        self._account(found)
        if self.records is not None and self.key is not None:
            self.records.append(self.key, found, final=True)
        return best_of(found) or ran[0]


def _is_late(measurement: Measurement) -> bool:
    return measurement.status == "rejected" and measurement.message == OUT_OF_BUDGET
