"""`python -m experiments.compiling`: compile the simulators ahead, as part of the set-up.

numba compiles what is called first. Left to the runs, most of that happens on one core while
the others wait for the same functions. Here each part is a process of its own, and the smallest
runs that touch all of it. What is compiled for these sources already is not looked at again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from experiments.catalog import entries
from experiments.problems import InputError
from policies.registry import BrokenSourceError
from sim import compile_cache

Run = tuple[str, str | None, Mapping[str, Any]]
"""Kind, policy, and what differs from the kind's own configuration."""

LINK = {
    "capacity": {"kind": "constant", "mbps": 10.0},
    "rtt_ms": 20.0,
    "queue": {"kind": "drop_tail", "kb": 50.0},
    "duration_s": 0.5,
    "warmup_s": 0.1,
}
STARTS = {"fixed": {"rate_bps": 5e6}}
"""Parameters of controllers that cannot do without."""
POOL = {
    "workload": {"kind": "mix", "density": 1.4, "sharing": 0.35, "requests": 200},
    "rates": "profiled",
    "max_batched_tokens": 1024,
}


TRAINING = {
    "total_steps": 8192,
    "evaluate_every": 8192,
    "validation_links": 2,
    "test_links": 2,
}


def _on_a_link() -> Iterator[Run]:
    from policies.congestion.base import CONTROLLERS

    for name in CONTROLLERS.names():
        own = {"parameters": {name: STARTS[name]}} if name in STARTS else {}
        yield "congestion-link", name, LINK | own


def _in_environments() -> Iterator[Run]:
    yield "congestion-reward", "teacher", {"links": 2}
    yield "congestion-reward", "symbolic", {"links": 2}


def _trained() -> Iterator[Run]:
    for variant in ("legacy", "corrected"):
        yield "congestion-teacher", None, {"variant": variant, **TRAINING}


def _of_a_pool() -> Iterator[Run]:
    from policies.ordering.base import ORDERS

    for name in ORDERS.names():
        yield "serving-order", name, POOL


def _do(runs: Iterator[Run]) -> None:
    from experiments.kinds.base import KINDS

    for kind_name, policy, fields in runs:
        kind = KINDS.get(kind_name)
        config = kind.resolve(kind.Config.model_validate(fields).model_dump(mode="json"))
        kind.run({**config, "policy": policy, "seed": 0})


PARTS: dict[str, Callable[[], Iterator[Run]]] = {
    "batch engine and orders": _of_a_pool,
    "packets and controllers": _on_a_link,
    "environments": _in_environments,
    "training": _trained,
}
"""Longest first."""
NEEDS = {"training": ("torch", "gymnasium", "stable_baselines3")}
"""Modules of extras that a part cannot do without."""


def compile_part(name: str) -> float:
    """Do the smallest runs of a part; return, and note beside the code, how many seconds it took.

    Raises:
        ImportError: an extra is not installed.
    """
    started = time.perf_counter()
    _do(PARTS[name]())
    seconds = time.perf_counter() - started
    compile_cache.note(name, seconds)
    return seconds


def wanted() -> list[str]:
    """Return the parts that are not compiled for these sources and that this machine can have."""
    ready = compile_cache.compiled()
    here = [n for n in PARTS if all(importlib.util.find_spec(m) for m in NEEDS.get(n, ()))]
    return [name for name in here if not ready.get(name, (0.0, False))[1]]


def main() -> int:
    """Compile every part that is not; what cannot be is compiled by the runs that need it."""
    if not (parts := wanted()):
        return 0
    _say("compiling the simulators, once for these sources; about a minute on two cores")
    cores = len(os.sched_getaffinity(0))
    try:
        with ProcessPoolExecutor(min(cores, len(parts)), mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(compile_part, name): name for name in parts}
            with contextlib.suppress(InputError, BrokenSourceError):  # the next command says it
                entries()  # meanwhile, the catalogue of experiments
            for future in as_completed(futures):
                _say(f"{futures[future]}: {_told(future)}")
    except KeyboardInterrupt:
        return 130
    return 0


def _told(future: Future[float]) -> str:
    error = future.exception()
    return f"left to the runs that need it ({error})" if error else f"{future.result():.0f} s"


def _say(line: str) -> None:
    print(f"set-up: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
