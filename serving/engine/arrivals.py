"""Kernels that let requests arrive between steps."""

from __future__ import annotations

import numba

from policies.ordering.base import FUTURE, NEW
from serving.engine import state as s
from serving.engine.problem import Problem
from serving.engine.series import add_idle
from serving.engine.state import Run


@numba.njit(cache=True)
def next_arrival_ns(problem: Problem, run: Run) -> int:
    """Return when the next request comes, `NEVER` if none does."""
    at = run.c[s.ARRIVED]
    if at == run.status.size:
        return s.NEVER
    return int(problem.arrival_ns[problem.by_arrival[at]])


@numba.njit(cache=True)
def let_arrive(problem: Problem, run: Run) -> None:
    """Make new those that have come by the time at which the scheduler last looked."""
    c = run.c
    while next_arrival_ns(problem, run) <= c[s.SEEN_NS]:
        r = problem.by_arrival[c[s.ARRIVED]]
        c[s.ARRIVED] += 1
        if run.status[r] == FUTURE:
            run.status[r] = NEW
            c[s.N_FUTURE] -= 1
            c[s.CANDIDATE] = s.ASK


@numba.njit(cache=True)
def idle(problem: Problem, run: Run) -> bool:
    """Let time jump to the next arrival; False if there is none."""
    c = run.c
    if c[s.ARRIVED] == run.status.size:
        return False
    ahead = next_arrival_ns(problem, run) - c[s.MAKESPAN_NS]
    add_idle(run.series, ahead)
    c[s.MAKESPAN_NS] += ahead
    c[s.SEEN_NS] = c[s.MAKESPAN_NS]
    return True
