"""Admission by predicted peak memory, compiled; `predicted_peak` is the readable form.

Every running request is expected to go on to its estimated end, one token a step, and to leave
there (at least one token from now if it has outlived its estimate). The KV cache is then fullest
at one of these ends; a candidate is admitted if that peak, the candidate included, fits. This is
how NanoFlow admits ("predicted peak memory", OSDI '25, section 5); it counts a shared prefix for
every request that uses it, as BlendServe's footprints do.
"""

from __future__ import annotations

import numba
import numpy as np

from serving.engine import state as s
from serving.engine.problem import Problem
from serving.engine.state import Run


@numba.njit(cache=True)
def _remaining(problem: Problem, run: Run, r: int) -> int:
    return problem.target[r] - problem.prompt[r] - run.generated[r]


@numba.njit(cache=True)
def peak_with(problem: Problem, run: Run, candidate: int) -> int:
    """Return the most KV tokens that the running requests and the candidate will hold at once.

    Running requests are kept in order of falling remaining length; all of them lose one token a
    step except those still in prefill, so that the order is nearly right and cheap to mend.
    """
    count, ends = run.c[s.N_RUNNING], run.by_end
    for i in range(1, count):
        r = ends[i]
        left, j = _remaining(problem, run, r), i - 1
        while j >= 0 and _remaining(problem, run, ends[j]) < left:
            ends[j + 1] = ends[j]
            j -= 1
        ends[j + 1] = r
    held_c = problem.prompt[candidate] + run.generated[candidate]
    left_c = max(1, _remaining(problem, run, candidate))
    held, peak, alive, waiting = 0, 0, 0, True
    for i in range(count):
        r = ends[i]
        left = max(1, _remaining(problem, run, r))
        if waiting and left_c >= left:
            held += held_c
            alive += 1
            peak = max(peak, held + alive * left_c)
            waiting = False
        held += problem.prompt[r] + run.generated[r]
        alive += 1
        peak = max(peak, held + alive * left)
    if waiting:
        peak = max(peak, held + held_c + (alive + 1) * left_c)
    return int(peak)


@numba.njit(cache=True)
def joins(run: Run, r: int) -> None:
    """Note that r has become the last running request."""
    run.by_end[run.c[s.N_RUNNING] - 1] = r


@numba.njit(cache=True)
def leaves(run: Run, r: int) -> None:
    """Take r out; the caller has lowered the number of running requests already."""
    ends, kept = run.by_end, 0
    for i in range(run.c[s.N_RUNNING] + 1):
        if ends[i] != r:
            ends[kept] = ends[i]
            kept += 1


def predicted_peak(held: np.ndarray, remaining: np.ndarray) -> int:
    """Return the same from int64[b] tokens held and still to come: the readable form."""
    left = np.maximum(1, remaining)
    alive = left[None, :] >= left[:, None]
    return int((alive * (held[None, :] + left[:, None])).sum(axis=1).max(initial=0))
