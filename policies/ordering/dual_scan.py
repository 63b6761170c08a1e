"""The dual scanner's arithmetic and its readable form (BlendServe section 5.3, Algorithm 3).

Two equations, M_L + M_R = M and M_L rho_L + M_R rho_R = M rho_root, split the KV memory between
the left (compute-heavy) and the right (memory-heavy) scanner. A side may admit its next request
while the footprints p + d/2 of its running requests stay within its share.

Where the paper is silent: equal densities share evenly; a root density outside [rho_R, rho_L]
is clamped, so one side gets all; an infinite density (no memory time) gets a zero share;
the emptier side (used / share) goes first, the left at equality; when nothing runs, the side
with the larger share goes regardless, so that the scan never stalls. Footprints charge a shared
prefix to each request, as the paper's formula does.

The per-step prefill budgets C_L and C_R are computed here but not enforced: in steady state the
memory shares pace admissions by themselves. At the start they do not, since the right side fills
its share at once and then grows in step beyond its average; a `kv_reserve` of 1 in the engine
keeps that growth from starving the left.
"""

from __future__ import annotations

import numba
import numpy as np

from policies.ordering.base import NEW, NOT_NOW, RUNNING, BatchView, TwoEnded

LEFT, RIGHT = 0, 1


@numba.njit(cache=True)
def split_memory(
    memory: float, rho_left: float, rho_right: float, rho_root: float
) -> tuple[float, float]:
    """Return (M_L, M_R) in the unit of `memory`; both >= 0, adding up to `memory`."""
    if rho_left == rho_right:
        return 0.5 * memory, 0.5 * memory
    upper, lower = max(rho_left, rho_right), min(rho_left, rho_right)
    share = 0.0 if np.isinf(upper) else (rho_root - lower) / (upper - lower)
    of_upper = memory * min(1.0, max(0.0, share))
    if rho_left > rho_right:
        return of_upper, memory - of_upper
    return memory - of_upper, of_upper


def decode_requests(memory: float, prompt: float, output: float, kv_per_token: float) -> float:
    """Return N = M / ((p + d/2) x KV per token), the requests that decode on one side."""
    return memory / ((prompt + 0.5 * output) * kv_per_token)


def prefill_tokens_per_step(requests: float, prompt: float, output: float) -> float:
    """Return C = N p / d, the chunked-prefill tokens per step that keep N requests running."""
    return requests * prompt / output


@numba.njit(cache=True)
def choose_side(
    share_left: float,
    share_right: float,
    used_left: int,
    used_right: int,
    next_left: int,
    next_right: int,
    idle: bool,
) -> int:
    """Return LEFT, RIGHT or -1.

    Args:
        share_left: M_L in tokens; `share_right`: M_R.
        share_right: see above.
        used_left: footprint tokens of running requests admitted from the left.
        used_right: the same from the right.
        next_left: footprint tokens of the left scanner's request.
        next_right: the same on the right.
        idle: nothing runs or waits to resume.
    """
    if idle:
        return LEFT if share_left > share_right else RIGHT
    left_fits = used_left + next_left <= share_left
    right_fits = used_right + next_right <= share_right
    if left_fits and right_fits:
        return LEFT if used_left * share_right <= used_right * share_left else RIGHT
    if left_fits:
        return LEFT
    return RIGHT if right_fits else NOT_NOW


class DualScan:
    """A `TwoEnded` plan as an adaptive one: slow, readable, and what the kernel must equal."""

    def __init__(self, plan: TwoEnded, capacity_tokens: int) -> None:
        self.plan, self.capacity_tokens = plan, capacity_tokens
        self.left, self.right = 0, len(plan.sequence) - 1
        self._side: dict[int, tuple[int, int]] = {}
        self._asked: tuple[int, int, int] | None = None

    def _note_admission(self, batch: BatchView) -> None:
        """Book the last answer under its side, if the engine took it."""
        if self._asked is not None and batch.status[self._asked[0]] != NEW:
            request, side, footprint = self._asked
            self._side[request] = (side, footprint)
        self._asked = None

    def _advance(self, batch: BatchView) -> None:
        sequence = self.plan.sequence
        while self.left <= self.right and batch.status[sequence[self.left]] != NEW:
            self.left += 1
        while self.left <= self.right and batch.status[sequence[self.right]] != NEW:
            self.right -= 1

    def _used(self, batch: BatchView, wanted: int) -> int:
        booked = (self._side.get(int(r), (NOT_NOW, 0)) for r in batch.running)
        return sum(footprint for side, footprint in booked if side == wanted)

    def next(self, batch: BatchView) -> int:
        """Return the request of the side whose turn it is, or -1."""
        self._note_admission(batch)
        self._advance(batch)
        if self.left > self.right:
            return NOT_NOW
        plan, ends = self.plan, (self.left, self.right)
        densities = (plan.density[self.left], plan.density[self.right], plan.root_density)
        shares = split_memory(float(self.capacity_tokens), *densities)
        used = self._used(batch, LEFT), self._used(batch, RIGHT)
        footprint = plan.footprint_tokens
        waiting = int(footprint[self.left]), int(footprint[self.right])
        idle = not (batch.status == RUNNING).any()
        side = choose_side(*shares, *used, *waiting, idle)
        if side == NOT_NOW:
            return NOT_NOW
        request = int(plan.sequence[ends[side]])
        self._asked = (request, side, waiting[side])
        return request
