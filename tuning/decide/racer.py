"""The process that runs a race: one request on stdin, one answer on stdout, JSON.

Started by `tuning.decide.race`. Kernels are called through compiled code, a whole sequence at a
time, so that a sequence of two pays no second way through Python.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.decide.stages import CopyStage, KernelStage
from tuning.kernel import Kernel, aligned_empty
from tuning.operators import operator_from_dict
from tuning.operators.reference import as_float32, mismatch, random_operands, tolerance
from tuning.profile.lifeline import end_with_parent
from tuning.profile.priority import ask_for_priority

LONGEST_S = 6.0
"""Sampling that has taken this long ends, if `FEWEST` rounds are done."""

MOST_ROUNDS = 4
"""Rounds at most, as a multiple of those wanted: the least disturbed are kept."""

QUIET = 0.02
"""A time is disturbed if threads waited for a core for more than this share of it. With two
threads such a wait stops both at the next barrier, and would count as the price of a barrier."""

TRIES = 3
"""Times taken of an entrant in a round until one is undisturbed; the least disturbed counts."""

FEWEST = 6
MOST_CALLS = 1_000_000


class Step(ctypes.Structure):
    """One call: the function and its four arguments, as `sequence.cpp` has them."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("run", "args", "dims", "blocks", "scratch")]


class Copy:
    """The copy of a tensor to another innermost width, called like a kernel."""

    def __init__(
        self, library: ctypes.CDLL, given: NDArray[Any], shape: tuple[int, ...], threads: int
    ) -> None:
        self.output = aligned_empty(shape, np.float32)
        self._given = given
        self._args = (ctypes.c_void_p * 2)(given.ctypes.data, self.output.ctypes.data)
        rows = self.output.size // shape[-1]
        self._dims = (ctypes.c_int64 * 3)(rows, given.shape[-1], shape[-1])
        self._blocks = (ctypes.c_int64 * 1)(threads)
        function = ctypes.cast(library.triptych_copy, ctypes.c_void_p).value or 0
        arrays = map(ctypes.addressof, (self._args, self._dims, self._blocks))
        self.entry = (function, *arrays, 0)


class Runner:
    """The stages of a request, built, and the clock."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.settings: dict[str, Any] = request["settings"]
        self.library = ctypes.CDLL(request["clock"])
        self.library.triptych_sequence_ns.restype = ctypes.c_int64
        self.waits = Waits()
        self.wanted: NDArray[np.float32] = np.load(request["wanted"])
        self.base = operator_from_dict(request["base"])
        self.pool = random_operands(self.base, self.settings["seed"])
        self.built: list[Kernel | Copy] = []
        for stage in request["stages"]:
            self.built.append(self._build(stage))
        self.entrants: dict[str, list[int]] = request["entrants"]
        self._buffer = np.zeros(request["evict_bytes"], np.uint8)
        self._steps = {
            name: (Step * len(stages))(*(Step(*self.built[index].entry) for index in stages))
            for name, stages in self.entrants.items()
        }

    def _build(self, data: dict[str, Any]) -> Kernel | Copy:
        first = self.base.operands()[0].name
        if "operator" not in data:
            stage = CopyStage.from_dict(data)
            given = self.pool[first] if stage.after is None else self.built[stage.after].output
            return Copy(self.library, given, stage.shape, self.settings["threads"])
        stage = KernelStage.from_dict(data)
        operands = {}
        for place, operand in enumerate(stage.operator.operands()):
            if operand.role == "output":
                continue
            if place == 0 and stage.after is not None:
                found = self.built[stage.after].output
            else:
                found = self.pool[first if place == 0 else operand.name + stage.tail]
            operands[operand.name] = filled(found, operand.shape)
        return Kernel(Path(data["path"]), stage.operator, stage.candidate, operands)

    def time_ns(self, name: str, calls: int) -> int:
        """Return the nanoseconds of `calls` runs of an entrant."""
        steps = self._steps[name]
        return self.library.triptych_sequence_ns(
            steps, ctypes.c_int64(len(steps)), ctypes.c_int64(calls)
        )

    def disagreement(self, names: list[str]) -> str:
        """Run each and return whose output is wrong and how, "" if none is.

        The first is compared with the reference, the others with the first: they may sum in
        another order, but not compute something else.
        """
        wanted: NDArray[np.float32] | None = None
        allowed = 2 * tolerance(self.base, self.pool)
        for name in names:
            self.time_ns(name, 1)
            output = self.built[self.entrants[name][-1]].output
            found = as_float32(output, self.base.epilogue.out_dtype)
            if wanted is None:
                wanted = found.copy()
                if fault := mismatch(self.base, self.pool, output, self.wanted):
                    return f"{name}: {fault}"
            elif found.shape != wanted.shape:
                return f"{name}: shape {found.shape} instead of {wanted.shape}"
            elif not (np.abs(found - wanted) <= allowed * (1 + np.abs(wanted))).all():
                return f"{name}: differs by {float(np.abs(found - wanted).max()):.3g}"
        return ""

    def sample(self) -> tuple[dict[str, list[float]], int]:
        """Return nanoseconds per run of every entrant, of the rounds that were disturbed least.

        The second value is how many of these rounds were disturbed.
        """
        rounds: list[tuple[float, dict[str, float]]] = []
        wanted, start = self.settings["samples"], time.monotonic()
        luck = np.random.default_rng(self.settings["seed"] + os.getpid())
        call_ns = {name: self._warm(name) for name in self.entrants}
        while len(rounds) < MOST_ROUNDS * wanted:
            if sum(share <= QUIET for share, _ in rounds) >= wanted:
                break
            if len(rounds) >= FEWEST and time.monotonic() - start > LONGEST_S:
                break
            worst, taken = 0.0, {}
            for place in luck.permutation(len(call_ns)):
                name = list(call_ns)[place]
                share, taken[name] = min(self._tries(name, call_ns[name]))
                worst = max(worst, share)
            rounds.append((worst, taken))
        rounds.sort(key=lambda one: one[0])
        kept = rounds[:wanted]
        samples = {name: [taken[name] for _, taken in kept] for name in self.entrants}
        return samples, sum(share > QUIET for share, _ in kept)

    def _tries(self, name: str, call_ns: float) -> Iterator[tuple[float, float]]:
        """Yield (share of the time that threads waited, nanoseconds of a run) until it is quiet."""
        calls = min(MOST_CALLS, max(1, math.ceil(self.settings["min_sample_ns"] / call_ns)))
        for _ in range(TRIES):
            if self.settings["cache"] == "cold":
                self._evict()
                calls = 1
            else:
                self.time_ns(name, 1)
            waited_ns = self.waits.total_ns()
            taken_ns = max(1, self.time_ns(name, calls))
            share = (self.waits.total_ns() - waited_ns) / taken_ns
            yield share, taken_ns / calls
            if share <= QUIET:
                return

    def _warm(self, name: str) -> float:
        """Return the shortest of the untimed calls that come first."""
        calls = max(1, self.settings["warmup"])
        return max(1.0, min(float(self.time_ns(name, 1)) for _ in range(calls)))

    def _evict(self) -> None:
        size = ctypes.c_int64(self._buffer.size)
        threads = ctypes.c_int64(self.settings["threads"])
        self.library.triptych_evict(ctypes.c_void_p(self._buffer.ctypes.data), size, threads)


class Waits:
    """For how long threads of this process were ready to run and had no core.

    Linux counts it per thread (Documentation/scheduler/sched-stats.rst), as long as the thread
    lives; here the sum never shrinks.

    Args:
        tasks: the folder of threads.
    """

    def __init__(self, tasks: Path = Path("/proc/self/task")) -> None:
        self._tasks = tasks
        self._seen: dict[str, int] = {}
        self._total_ns = 0

    def total_ns(self) -> int:
        """Return the nanoseconds of all threads until now; 0 where Linux does not count."""
        for path in self._tasks.glob("*/schedstat"):
            with contextlib.suppress(OSError, IndexError):  # a thread that has just ended
                now_ns = int(path.read_text().split()[1])
                before_ns = self._seen.get(path.parent.name, 0)
                # Less than before: another thread got the number of one that ended.
                self._total_ns += now_ns - before_ns if now_ns >= before_ns else now_ns
                self._seen[path.parent.name] = now_ns
        return self._total_ns


def filled(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `array` with zeros at the end of its axes up to `shape`; itself if it has it."""
    if array.shape == shape:
        return array
    added = [(0, wanted - here) for here, wanted in zip(array.shape, shape, strict=True)]
    return np.pad(array, added)


def main() -> None:
    """Answer the request on stdin."""
    end_with_parent()
    ask_for_priority()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a kernel prints is no answer
    request = json.load(sys.stdin)
    runner = Runner(request)
    if message := runner.disagreement(request["equal"]):
        answer: dict[str, Any] = {"message": message}
    else:
        samples, disturbed = runner.sample()
        answer = {"samples": samples, "disturbed": disturbed}
    json.dump(answer, answers)
    answers.close()


if __name__ == "__main__":
    main()
