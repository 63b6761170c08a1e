"""How ordering and simulating grow with the pool: `python -m tests.bench.growth`.

Mix #1 of 25,000 to 2 million requests, one process. Prints a table and writes the plot
`build/figures/bench/serving-growth.svg` beside the CSV of its points. The slope of the fitted line
on logarithmic axes is 1 where growth is linear.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from experiments.figures.parts import new_figure
from experiments.figures.style import looks, styled
from experiments.paths import build_root
from tests.bench.bench_serving import case_of, order, simulated

SIZES = (25_000, 50_000, 100_000, 200_000, 400_000, 1_000_000, 2_000_000)
SIMULATED = 400_000
"""Largest pool that is simulated, too; the paper's."""

TIMED = ("order", "order and simulate")


def seconds(work: str, requests: int) -> float:
    """Return the CPU time of one go; the pool is made before the clock starts."""
    case_of(requests)
    started = time.process_time()
    order(requests, "blendserve") if work == TIMED[0] else simulated(requests)
    return time.process_time() - started


def measure() -> dict[str, dict[int, float]]:
    """Return per kind of work the seconds by number of requests."""
    simulated(1000)  # compile
    found: dict[str, dict[int, float]] = {work: {} for work in TIMED}
    for requests in SIZES:
        for work in TIMED if requests <= SIMULATED else TIMED[:1]:
            found[work][requests] = seconds(work, requests)
            print(f"{work}, {requests:,} requests: {found[work][requests]:.2f} s", flush=True)
        case_of.cache_clear()
    return found


def slope(times: dict[int, float]) -> float:
    """Return the exponent of the growth, by least squares."""
    return float(np.polyfit(np.log([*times]), np.log([*times.values()]), 1)[0])


def draw(found: dict[str, dict[int, float]]) -> None:
    """Write the plot and its points."""
    folder = build_root() / "figures" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with styled():
        figure = new_figure(6.0, 3.6)
        axes = figure.subplots()
        own = dict(zip(TIMED, looks(("prefix_dfs", "blendserve")).values(), strict=True))
        for work, times in found.items():
            label = f"{work} (slope {slope(times):.2f})"
            axes.plot([*times], [*times.values()], own[work].marker + "-", label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("requests in the pool")
        axes.set_ylabel("CPU seconds, one core")
        axes.set_title("BlendServe's order, mix #1")
        axes.legend()
        figure.savefig(folder / "serving-growth.svg")
    rows = [f"{work},{n},{t:.4f}" for work, times in found.items() for n, t in times.items()]
    (folder / "serving-growth.csv").write_text("\n".join(["work,requests,seconds", *rows, ""]))


if __name__ == "__main__":
    times = measure()
    for work in TIMED:
        print(f"{work}: grows with the power {slope(times[work]):.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.1f} GiB")
    draw(times)
