"""The measured surface T(T_comp, T_mem): hidden fractions with intervals, models held against it.

h = (T_comp + T_mem - T_both) / min(T_comp, T_mem). Models are judged on points that they were not
fitted to: those at even places are predicted by a fit to the odd ones, and the other way round.
Where nothing was measured, `published` makes a surface of what NanoFlow printed of an A100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.overlap.on_gpu.clocks import PRIORITIES
from serving.overlap.on_gpu.overlap import FORMAT
from serving.overlap.on_gpu.rows import rows_of
from sim.gpu.combine import combine
from sim.gpu.overlap import Interference, Max, Overlap, Partial, Sum, Surface

REGIONS = ("compute_longer", "alike", "memory_longer")
"""T_mem below half of T_comp, up to twice of it, above."""
MODELS = ("sum", "max", "partial_half", "partial_fitted", "interference", "surface")
DEGREE = 4
RESAMPLES = 2000
RATIOS = (1 / 8, 8.0)
BEST = "best"
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """n points of a surface, times in ms.

    Attributes:
        compute: float64[n, k], k repeats of T_comp; `memory`, `both` likewise.
        memory: see above.
        both: see above.
        origin: device, driver and versions, or what was published.
    """

    compute: Times
    memory: Times
    both: Times
    origin: str

    def medians(self) -> tuple[Times, Times, Times]:
        """Return float64[n] each: T_comp, T_mem, T_both."""
        compute, memory, both = (np.median(x, 1) for x in (self.compute, self.memory, self.both))
        return compute, memory, both

    def region(self) -> NDArray[np.int64]:
        """Return the place in `REGIONS` of each point."""
        c, m, _ = self.medians()
        return np.searchsorted([0.5, 2.0], m / c).astype(np.int64)


def hidden(compute: Times, memory: Times, both: Times) -> Times:
    """Return the hidden fraction; below 0 where the two are slower together."""
    return (compute + memory - both) / np.minimum(compute, memory)


def read_points(path: Path, priority: str = BEST) -> Points:
    """Read what `on_gpu overlap` wrote.

    Args:
        path: its file.
        priority: of the stream of attention, or "best": whichever was faster at each point.

    Raises:
        ValueError: the file holds no such measurement; the message names line and field.
        OSError: it cannot be read.
    """
    if priority != BEST and priority not in PRIORITIES:
        raise ValueError(f"priority must be one of best, {', '.join(PRIORITIES)}: {priority!r}")
    rows = list(rows_of(path, FORMAT))
    if not rows:
        raise ValueError(f"{path}: no measured point; on_gpu overlap --out writes them")
    read = [_times(path, number, row, priority) for number, row in enumerate(rows, 1)]
    repeats = min(len(times[0]) for times in read)
    compute, memory, both = (np.array([t[i][:repeats] for t in read]) for i in range(3))
    about = {name: {str(row.get(name)) for row in rows} for name in ("device", "driver", "torch")}
    if len(about["device"]) > 1:
        raise ValueError(f"{path}: device: one file is of one GPU, found {sorted(about['device'])}")
    told = "; ".join(f"{name} {', '.join(sorted(found))}" for name, found in about.items())
    return Points(compute, memory, both, told)


def _times(path: Path, number: int, row: dict[str, Any], priority: str) -> list[list[float]]:
    where = f"{path}, line {number}"
    if row.get("dry") is not False:
        raise ValueError(f"{where}: dry: times of a dry run mean nothing; measure on a GPU")
    both = row.get("both_ms")
    if not isinstance(both, dict) or set(both) != set(PRIORITIES):
        raise ValueError(f"{where}: both_ms must hold {', '.join(PRIORITIES)}")
    kinds: dict[str, Any] = {name: row.get(name) for name in ("compute_ms", "memory_ms")}
    kinds |= {f"both_ms.{name}": times for name, times in both.items()}
    sizes = set()
    for name, times in kinds.items():
        if not isinstance(times, list) or not times or not all(map(_is_time, times)):
            raise ValueError(f"{where}: {name} must be a list of positive, finite ms")
        sizes.add(len(times))
    if len(sizes) > 1:
        raise ValueError(f"{where}: all times have as many repeats, found {sorted(sizes)}")
    if priority == BEST:
        priority = min(both, key=lambda name: float(np.median(both[name])))
    return [kinds["compute_ms"], kinds["memory_ms"], both[priority]]


def _is_time(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def published(rng: np.random.Generator, count: int = 120) -> Points:
    """Return a surface of NanoFlow's interference points (OSDI '25, Table 3 and its text).

    The best published setting at each of `count` ratios, drawn evenly in logarithm; T_comp is 1.
    """
    low, high = np.log(RATIOS)
    memory = np.exp(rng.uniform(low, high, count))
    compute = np.ones(count)
    both = predicted(Interference(), compute, memory)
    told = "NanoFlow's five points of an A100, the best at each ratio"
    return Points(compute[:, None], memory[:, None], both[:, None], told)


def predicted(model: Overlap, compute: Times, memory: Times) -> Times:
    """Return float64[n], the model's times."""
    numbers = np.array(model.numbers, np.float64)
    pairs = zip(compute.tolist(), memory.tolist(), strict=True)
    return np.array([combine(model.code, numbers, c, m) for c, m in pairs])


def best_partial(compute: Times, memory: Times, both: Times) -> Partial:
    """Return `partial` with the h whose median relative error is least, in steps of 0.01."""
    choices = [Partial(h / 100) for h in range(101)]
    errors = [np.median(np.abs(predicted(p, compute, memory) / both - 1)) for p in choices]
    return choices[int(np.argmin(errors))]


def _fitted(name: str, compute: Times, memory: Times, both: Times) -> Overlap:
    fixed = {"sum": Sum(), "max": Max(), "interference": Interference()}
    if name in fixed:
        return fixed[name]
    if name == "partial_half":
        return Partial(0.5)
    if name == "partial_fitted":
        return best_partial(compute, memory, both)
    return Surface.fitted(compute, memory, both, DEGREE)


def errors_of(points: Points) -> dict[str, Times]:
    """Return per model of `MODELS` float64[n]: predicted / measured - 1, out of sample.

    Raises:
        ValueError: the points are too few to fit half of them.
    """
    times = points.medians()
    n = len(times[0])
    if n < 2 * (DEGREE + 2):
        raise ValueError(f"{n} points are too few to judge models; {2 * (DEGREE + 2)} are needed")
    odd = np.arange(n) % 2 == 1
    found = {name: np.empty(n) for name in MODELS}
    for fit, judge in ((odd, ~odd), (~odd, odd)):
        for name, errors in found.items():
            model = _fitted(name, *(x[fit] for x in times))
            errors[judge] = predicted(model, times[0][judge], times[1][judge])
            errors[judge] = errors[judge] / times[2][judge] - 1
    return found


def interval(
    points: Points, chosen: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the mean h of some points, and its 95 % interval: points and repeats are redrawn.

    Raises:
        ValueError: none is chosen.
    """
    if not chosen.any():
        raise ValueError("no point lies in this region")
    c, m, b = (x[chosen] for x in (points.compute, points.memory, points.both))
    value = float(hidden(*(np.median(x, axis=1) for x in (c, m, b))).mean())
    n, k = c.shape
    means = []
    for _ in range(RESAMPLES):
        rows, turns = rng.integers(n, size=n), rng.integers(k, size=k)
        drawn = [np.median(x[rows][:, turns], axis=1) for x in (c, m, b)]
        means.append(hidden(*drawn).mean())
    low, high = np.quantile(means, (0.025, 0.975))
    return value, float(low), float(high)
