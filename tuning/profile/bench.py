"""In the worker: loads candidates, checks their numbers, lets them take turns under the stopwatch.

Turns are interleaved: in each round every candidate gives one sample, in an order that is shuffled
anew, so that drift of the machine's speed meets all alike. Candidates that are far from the best
after a few rounds get no more turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tuning.kernel import STORED, Kernel, Share, aligned, aligned_empty
from tuning.operators import Operand, operator_from_dict
from tuning.operators.reference import mismatch, random_operands
from tuning.profile.board import NOBODY, Board
from tuning.profile.settings import ProfileSettings
from tuning.profile.stopwatch import Stopwatch
from tuning.space import OUT_OF_BUDGET, Candidate

DROPS = {2: 2.0, 5: 1.25}
"""A candidate with so many undisturbed samples gets no more turns if its shortest is beyond this
multiple of the best one's. The shortest, since what disturbs a sample only makes it longer."""

DROP_DISTURBED = (5, 2.0)
"""The same for a candidate with so many samples of any kind."""

LONGEST_S = 1.0
"""A candidate that has run for so long, all told, stops once it has `FEWEST` samples."""

FEWEST = 3
"""Undisturbed samples that a candidate gets more turns for, if it has all others; with fewer, the
disturbed count too."""

MOST_ROUNDS = 3
"""Rounds go on for that, up to this multiple of the samples asked for."""

REWARM_BELOW_NS = 5_000_000
"""A kernel faster than this makes one untimed call first: others have used the caches since."""

MOST_CALLS = 1_000_000
_MARGIN = 4096
_UNTOUCHED = 0xA5


@dataclass
class Entry:
    """One candidate under test.

    Attributes:
        call_ns: last known time of a call.
        samples: nanoseconds of a call, each a sample.
        clean: those of them during which the system let all threads run.
    """

    index: int
    path: Path
    candidate: Candidate
    checked: bool
    kernel: Kernel | None = None
    call_ns: float = 0.0
    spent_s: float = 0.0
    samples: list[float] = field(default_factory=list)
    clean: list[float] = field(default_factory=list)

    @property
    def trusted(self) -> list[float]:
        """The samples that tell the time of a call: undisturbed ones if there are enough."""
        enough = len(self.clean) >= min(FEWEST, len(self.samples))
        return self.clean if enough else self.samples

    def is_hopeless(self, best_ns: float) -> bool:
        """Return whether it is clear that another candidate is faster."""
        factors = [factor for count, factor in DROPS.items() if len(self.clean) >= count]
        if factors and min(self.clean) > min(factors) * best_ns:
            return True
        count, factor = DROP_DISTURBED
        return len(self.samples) >= count and min(self.samples) > factor * best_ns


class Fence:
    """The memory of an output with a margin on both sides that nobody may write."""

    def __init__(self, output: Operand) -> None:
        dtype = np.dtype(STORED[output.dtype])
        length = output.size * dtype.itemsize
        memory = aligned_empty((length + 2 * _MARGIN,), np.uint8)
        self.inside = memory[_MARGIN : _MARGIN + length].view(dtype).reshape(output.shape)
        self._margins = (memory[:_MARGIN], memory[_MARGIN + length :])
        self.mend()

    @property
    def is_whole(self) -> bool:
        """Whether the margins are as they were."""
        return all(bool((margin == _UNTOUCHED).all()) for margin in self._margins)

    def mend(self) -> None:
        """Make the margins new."""
        for margin in self._margins:
            margin.fill(_UNTOUCHED)


class Bench:
    """The candidates of one request, side by side.

    Args:
        request: as `Profiler` writes it.
        board: whose turn it is, and the reference.
        watch: the stopwatch.
        say: sends an event to the profiler.
    """

    def __init__(
        self,
        request: dict[str, Any],
        board: Board,
        watch: Stopwatch,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self.operator = operator_from_dict(request["operator"])
        self.settings = ProfileSettings.from_dict(request["settings"])
        self.deadline = time.monotonic() + request["seconds"]
        self.board, self.watch, self.say = board, watch, say
        self.fence = Fence(self.operator.operands()[-1])
        self.share: Share = {("output", -1): self.fence.inside}
        found = random_operands(self.operator, self.settings.seed)
        self.operands = {name: aligned(array) for name, array in found.items()}
        self.wanted = None
        if self.settings.check:
            self.wanted = board.wanted(self.operator.operands()[-1].shape)
        self.entries = [
            Entry(row["index"], Path(row["path"]), Candidate.from_dict(row["candidate"]), row["ok"])
            for row in request["candidates"]
        ]

    def run(self) -> None:
        """Measure all, and say what became of each."""
        ready = [entry for entry in self.entries if self._prepare(entry)]
        self._sample(ready)
        for entry in ready:
            low, middle, high = np.percentile(entry.trusted, (25, 50, 75))
            self.say(
                {
                    "index": entry.index,
                    "status": "ok",
                    "median_ns": float(middle),
                    "low_ns": float(low),
                    "high_ns": float(high),
                    "samples": len(entry.trusted),
                    "measure_s": entry.spent_s,
                }
            )

    @contextmanager
    def _turn(self, entry: Entry) -> Iterator[None]:
        start = time.monotonic()
        self.board.take(entry.index)
        try:
            yield
        finally:
            self.board.take(NOBODY)
            entry.spent_s += time.monotonic() - start

    def _end(self, entry: Entry, status: str, message: str) -> bool:
        event = {"index": entry.index, "status": status, "message": message}
        self.say(event | {"measure_s": entry.spent_s})
        return False

    def _prepare(self, entry: Entry) -> bool:
        """Load, check and warm up; return whether the candidate is to be timed."""
        if time.monotonic() > self.deadline:
            return self._end(entry, "rejected", OUT_OF_BUDGET)
        try:
            with self._turn(entry):
                entry.kernel = Kernel(
                    entry.path, self.operator, entry.candidate, self.operands, share=self.share
                )
        except (OSError, AttributeError) as error:
            return self._end(entry, "unloadable", str(error))
        except MemoryError:
            return self._end(entry, "crashed", "not enough memory to load it")
        if not entry.checked and (fault := self._fault(entry, entry.kernel)) is not None:
            return self._end(entry, "wrong", fault)
        self.say({"index": entry.index, "checked": True})
        with self._turn(entry):
            for _ in range(max(1, self.settings.warmup)):
                entry.call_ns = max(1.0, float(self.watch.time_ns(entry.kernel, 1)))
                if entry.call_ns > LONGEST_S * 1e9 / 4:
                    break
        return True

    def _fault(self, entry: Entry, kernel: Kernel) -> str | None:
        """Run once and return what is wrong with the numbers, None if nothing is."""
        poison = np.nan if kernel.output.dtype.kind == "f" else 0x7FC0  # a bfloat16 that is NaN
        kernel.output.fill(poison)
        with self._turn(entry):
            kernel()
        if not self.fence.is_whole:
            self.fence.mend()
            return "wrote before or behind its output"
        if self.wanted is None:
            return None
        return mismatch(self.operator, self.operands, kernel.output, self.wanted)

    def _sample(self, entries: list[Entry]) -> None:
        luck = np.random.default_rng(self.settings.seed)
        alive = list(entries)
        for _ in range(MOST_ROUNDS * self.settings.samples):
            for place in luck.permutation(len(alive)):
                if not self._has_enough(alive[place]):
                    self._take(alive[place])
            best_ns = min((min(entry.samples) for entry in alive), default=0.0)
            alive = [entry for entry in alive if not entry.is_hopeless(best_ns)]

    def _has_enough(self, entry: Entry) -> bool:
        if not entry.samples:
            return False
        if time.monotonic() > self.deadline or len(entry.clean) >= self.settings.samples:
            return True
        if len(entry.samples) >= self.settings.samples and len(entry.clean) >= FEWEST:
            return True
        return len(entry.samples) >= FEWEST and entry.spent_s > LONGEST_S

    def _take(self, entry: Entry) -> None:
        """Take one sample."""
        if (kernel := entry.kernel) is None:
            raise ValueError("a candidate was sampled before it was loaded")
        calls = 1
        if cold := self.settings.cache == "cold":
            self.watch.evict()
        else:
            wanted = np.ceil(self.settings.min_sample_ns / entry.call_ns)
            calls = int(min(MOST_CALLS, max(1.0, wanted)))
        with self._turn(entry):
            if not cold and entry.call_ns < REWARM_BELOW_NS:
                self.watch.time_ns(kernel, 1)
            entry.samples.append(self.watch.time_ns(kernel, calls) / calls)
        if not self.watch.disturbed:
            entry.clean.append(entry.samples[-1])
        entry.call_ns = max(1.0, min(entry.samples))
