"""What a step costs on the machine that vLLM runs on, fitted to measured steps.

    t = c0 + a prefill tokens + b decoding requests + p query-key pairs of prefill
        + k KV tokens that decoding reads + d distinct ones among them

Additive, for on a CPU nothing overlaps: a step with both kinds of work was measured to cost 0.95
to 1.02 of the sum of its parts. Shared prefixes stay in the processor's caches, hence the last
term. All coefficients are >= 0 (non-negative least squares). Squared errors are divided by the
step's time, so that long prefills do not drown decoding. Steps that took far longer than the fit
says were disturbed by something else, and are left out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.pool import Workload
from serving.vllm.entry_file import TERMS
from serving.vllm.rows import Row

DISTURBED = 4.0
"""Steps further above the fit than so many median deviations do not count."""


def work_of(rows: Sequence[Row], workload: Workload) -> NDArray[np.float64]:
    """Return float64[steps, 6], what each step does, in the columns of `TERMS`."""
    prompt = workload.pool.prompt_tokens
    known = prompt.copy()  # with the tokens generated so far
    prefill_until = prompt.copy()
    work = np.zeros((len(rows), len(TERMS)))
    for line, row in zip(work, rows, strict=True):
        line[0] = 1.0
        for request, _, _ in row.admitted:
            prefill_until[request] = known[request]
        decoding = []
        for request, tokens, before in row.scheduled:
            if before < prefill_until[request]:
                line[1] += tokens
                line[3] += tokens * before + tokens * (tokens + 1) // 2
            else:
                decoding.append((request, before + 1))
            known[request] += before + tokens == known[request]
        line[2] = len(decoding)
        line[4] = sum(context for _, context in decoding)
        line[5] = _distinct_tokens(decoding, workload)
    return work


def _distinct_tokens(decoding: Sequence[tuple[int, int]], workload: Workload) -> int:
    """Return the KV tokens that (request, context) pairs read, each shared block once."""
    pool, alone, shared = workload.pool, 0, []
    for request, context in decoding:
        start, end = pool.block_offsets[request : request + 2]
        blocks = min(int(end - start), context // pool.block_tokens)
        shared.append(pool.block_ids[start : start + blocks])
        alone += context - blocks * pool.block_tokens
    if not shared:
        return 0
    return alone + int(np.unique(np.concatenate(shared)).size) * pool.block_tokens


@dataclass(frozen=True)
class StepFit:
    """A fitted cost of steps.

    Attributes:
        coefficients_ns: one per name in `TERMS`.
        steps: measured steps that counted.
        disturbed: steps left out.
    """

    coefficients_ns: tuple[float, ...]
    steps: int
    disturbed: int

    def predict_ns(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64[steps], the time of each."""
        return work @ np.array(self.coefficients_ns)


def fit_steps(
    work: NDArray[np.float64], taken_ns: NDArray[np.int64], *, distinct: bool = True
) -> StepFit:
    """Fit the coefficients to measured steps.

    Args:
        work: float64[n, 6], as `work_of` returns it.
        taken_ns: int64[n], measured times.
        distinct: whether distinct KV tokens have a coefficient of their own; else it is 0.

    Raises:
        ValueError: there are fewer steps than coefficients, or a time is not positive.
    """
    columns = len(TERMS) if distinct else len(TERMS) - 1
    if len(work) <= columns or len(work) != len(taken_ns):
        raise ValueError(f"{len(work)} measured steps are too few for {columns} coefficients")
    if taken_ns.min() <= 0:
        raise ValueError("measured times must be positive")
    kept = np.ones(len(work), bool)
    found = _least_squares(work[:, :columns], taken_ns)
    excess = taken_ns / np.maximum(work[:, :columns] @ found, 1.0)
    spread = float(np.median(np.abs(excess - np.median(excess))))
    if spread > 0:
        kept = excess <= np.median(excess) + DISTURBED * 1.4826 * spread
        found = _least_squares(work[kept, :columns], taken_ns[kept])
    padded = [*map(float, found), *[0.0] * (len(TERMS) - columns)]
    return StepFit(tuple(padded), int(kept.sum()), int((~kept).sum()))


def _least_squares(work: NDArray[np.float64], taken_ns: NDArray) -> NDArray[np.float64]:
    from scipy.optimize import nnls

    weight = 1.0 / np.sqrt(taken_ns)
    scale = np.maximum(np.abs(work).max(axis=0), 1.0)
    found, _ = nnls(work / scale * weight[:, None], taken_ns * weight)
    return found / scale
