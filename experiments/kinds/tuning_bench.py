"""One run's place to tune in: library, profiler, compiled objects and records of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from experiments.kinds.tuning_shapes import TuningConfig
from experiments.paths import cache_root
from policies.search.base import Budget
from tuning.operators import Operator

if TYPE_CHECKING:
    from tuning.compile import ObjectCache
    from tuning.decide import Race
    from tuning.profile import Profiler, ProfileSettings
    from tuning.records import Records
    from tuning.space import Measurement
    from tuning.templates.cpu.library import CpuTemplates
    from tuning.tuner import Tuned


@dataclass
class Bench:
    """Where one run tunes. Its records are new: a run measures tuning from nothing.

    Attributes:
        folder: for files of the run; removed with it.
        settings: of the profiler and of contests.
        tuned: every operator tuned so far, by its text.
    """

    folder: Path
    library: CpuTemplates
    settings: ProfileSettings
    objects: ObjectCache
    profiler: Profiler
    records: Records
    search: str
    budget: Budget
    seed: int
    tuned: dict[str, Tuned] = field(default_factory=dict)

    def tune(self, operator: Operator) -> Tuned:
        """Tune an operator by the run's search; the same one again is answered from before.

        Raises:
            NothingMeasuredError: no candidate ran.
        """
        from tuning.tuner import tune

        name = operator.text()
        if name not in self.tuned:
            self.tuned[name] = tune(
                operator,
                self.library,
                self.profiler,
                self.search,
                self.budget,
                self.records,
                self.seed,
            )
        return self.tuned[name]

    def spent(self) -> dict[str, float | int]:
        """Return the metrics of `SPENT`."""
        return spent_on(self.tuned.values())

    def race(self) -> Race:
        """Return what runs sequences of kernels side by side."""
        from tuning.decide import Race

        return Race(self.library, self.settings, self.objects)

    def object_of(self, operator: Operator, measurement: Measurement) -> Path:
        """Return the compiled object of a measured candidate.

        Raises:
            RuntimeError: it is gone and cannot be compiled again.
        """
        made = self.objects.compile([self.library.render(operator, measurement.candidate)])[0]
        if made.path is None:
            raise RuntimeError(f"{operator.text()}: {made.message}")
        return made.path


SPENT = {
    "trials": "candidates measured",
    "failed": "candidates that did not compile, crashed, hung or computed wrong numbers",
    "compile_s": "s; compiling, summed over candidates",
    "measure_s": "s; checking and timing, summed over candidates",
    "tune_s": "s; wall-clock time of tuning; lower is better",
}


def spent_on(tuned: Iterable[Tuned]) -> dict[str, float | int]:
    """Return the metrics of `SPENT`, summed over operators."""
    found = list(tuned)
    statuses = [pair for one in found for pair in one.statuses.items()]
    return {
        "trials": sum(one.trials for one in found),
        "failed": sum(n for status, n in statuses if status not in ("ok", "rejected")),
        "compile_s": sum(one.compile_s for one in found),
        "measure_s": sum(one.measure_s for one in found),
        "tune_s": sum(one.seconds for one in found),
    }


@contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a folder for one run, in the cache, and remove it."""
    parent = cache_root() / "tuning"
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        yield Path(folder)


def objects_of(config: TuningConfig, folder: Path) -> ObjectCache:
    """Return where compiled objects are kept: the machine's cache, or the run's own."""
    from tuning.compile import ObjectCache

    return ObjectCache(folder / "objects" if config.objects == "cold" else None)


def settings_of(config: TuningConfig, seed: int) -> ProfileSettings:
    """Return how candidates are timed."""
    from tuning.profile import ProfileSettings

    return ProfileSettings(
        threads=config.threads, samples=config.samples, cache=config.cache, seed=seed
    )


@contextmanager
def bench(config: TuningConfig, search: str, seed: int) -> Iterator[Bench]:
    """Yield a bench, and leave nothing of it behind."""
    from tuning.profile import Profiler
    from tuning.records import Records
    from tuning.templates.cpu.library import CpuTemplates

    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        library = CpuTemplates(config.isa, config.threads)
        settings, objects = settings_of(config, seed), objects_of(config, folder)
        profiler = stack.enter_context(Profiler(library, settings, objects))
        records = Records(folder / "records.jsonl")
        given = (search, config.budget(), seed)
        yield Bench(folder, library, settings, objects, profiler, records, *given)


def sequence(path: Path, entries: Sequence[tuple[int, ...]]) -> Callable[[], object]:
    """Return what runs kernels one after another by one call of `tuning/decide/sequence.cpp`.

    Args:
        path: the compiled source.
        entries: of each kernel, in order; who has the kernel must keep it alive.
    """
    import ctypes

    from tuning.decide.racer import Step

    run = ctypes.CDLL(str(path)).triptych_sequence_ns
    run.restype = ctypes.c_int64
    steps = (Step * len(entries))(*(Step(*entry) for entry in entries))
    count, once = ctypes.c_int64(len(entries)), ctypes.c_int64(1)
    return lambda: run(steps, count, once)


FEWEST_CLEAN = 3
"""Undisturbed samples from which on the others do not count."""


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    samples: int,
    least_s: float = 2e-4,
    warm_up: int = 2,
    settle_s: float = 0.0,
) -> dict[str, list[float]]:
    """Time functions in turn, the order turned every round; return ns of one call per sample.

    Samples during which another program took a core do not count where enough others exist, as in
    the profiler: two threads that wait for each other lose milliseconds by it.

    Each sample repeats its function so often that it takes `least_s` at least, so that the clock
    does not count. Turns spread a drift of the machine over all of them. `settle_s` is for calls
    of different thread pools: a pause before each sample, in which the threads of the pool that
    ran before stop spinning, then an untimed call, which wakes the threads of this one.
    """
    from tuning.profile import measuring

    repeats = {}
    for name, call in calls.items():
        for _ in range(warm_up):
            call()
        start = time.perf_counter_ns()
        call()
        once_s = (time.perf_counter_ns() - start) / 1e9
        repeats[name] = max(1, round(least_s / max(once_s, 1e-7)))
    names = list(calls)
    found: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
    with measuring():
        for round_ in range(samples):
            turn = round_ % len(names)
            for name in (*names[turn:], *names[:turn]):
                if settle_s:
                    time.sleep(settle_s)
                    calls[name]()
                found[name].append(_sample(calls[name], repeats[name]))
    return {name: undisturbed(taken) for name, taken in found.items()}


def _sample(call: Callable[[], object], count: int) -> tuple[float, bool]:
    """Return ns per call, and whether a core was taken away from this process meanwhile."""
    before, start = getrusage(RUSAGE_SELF).ru_nivcsw, time.perf_counter_ns()
    for _ in range(count):
        call()
    ns = (time.perf_counter_ns() - start) / count
    return ns, getrusage(RUSAGE_SELF).ru_nivcsw > before


def undisturbed(taken: Sequence[tuple[float, bool]]) -> list[float]:
    """Return the samples that nothing disturbed, all of them where too few are."""
    clean = [ns for ns, disturbed in taken if not disturbed]
    return clean if len(clean) >= FEWEST_CLEAN else [ns for ns, _ in taken]


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    from statistics import median

    return float(median(values))
