"""The dual scanner's arithmetic and its readable form (BlendServe section 5.3, Algorithm 3).

Two equations, M_L + M_R = M and M_L rho_L + M_R rho_R = M rho_root, split the KV memory between
the left (compute-heavy) and the right (memory-heavy) scanner. A side may admit its next request
while the footprints p + d/2 of its running requests stay within its share, and, where budgets are
enforced, while it has prefill credit: its budget C = N p / d, N = M / (p + d/2), is granted every
step, what is not used does not add up beyond one step's budget, and an admission takes its prompt
from the credit, which may go below zero. On average a side so admits N / d requests per step.

Where the paper is silent: equal densities share evenly; a root density outside [rho_R, rho_L]
is clamped, so one side gets all; an infinite density (no memory time) gets a zero share;
the emptier side (used / share) goes first, the left at equality; when nothing runs, the side
with the larger share goes regardless of footprint and credit, so that the scan never stalls. A
running request of the left that has given `relocate_at` tokens is booked under the right with
what it then holds; one that ends early simply leaves its account, and room for the next.
"""

from __future__ import annotations

import numba
import numpy as np

from policies.ordering.base import NEW, NOT_NOW, RUNNING, BatchView, TwoEnded, later

LEFT, RIGHT = 0, 1
MICRO = 1_000_000  # budgets and credits are whole millionths of a token: sums of them are exact
FOREVER = 1 << 40


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
def prefill_budget(share_tokens: float, prompt: int, output: float) -> int:
    """Return C of a side in millionths of a token; an output below one token counts as one."""
    d = max(1.0, output)
    tokens = share_tokens / (prompt + 0.5 * d) * prompt / d
    return int(min(tokens, 1e9) * MICRO)


@numba.njit(cache=True)
def grown(credit: int, budget: int, steps: int) -> int:
    """Return the credit after so many steps of that budget, one budget at most."""
    if budget <= 0 or credit >= budget:
        return credit
    needed = (budget - credit + budget - 1) // budget  # compared first: the product may be huge
    return budget if steps >= needed else credit + steps * budget


@numba.njit(cache=True)
def choose_side(
    shares: tuple[float, float],
    used: tuple[int, int],
    waiting: tuple[int, int],
    credit: tuple[bool, bool],
    idle: bool,
) -> int:
    """Return LEFT, RIGHT or -1; every pair is (left, right).

    Args:
        shares: M_L and M_R in tokens.
        used: footprint tokens of running requests booked under each side.
        waiting: footprint tokens of each scanner's next request.
        credit: whether each side has prefill credit.
        idle: nothing runs or waits to resume.
    """
    if idle:
        return LEFT if shares[0] > shares[1] else RIGHT
    left_fits = credit[0] and used[0] + waiting[0] <= shares[0]
    right_fits = credit[1] and used[1] + waiting[1] <= shares[1]
    if left_fits and right_fits:
        return LEFT if used[0] * shares[1] <= used[1] * shares[0] else RIGHT
    if left_fits:
        return LEFT
    return RIGHT if right_fits else NOT_NOW


@numba.njit(cache=True)
def steps_to_credit(
    shares: tuple[float, float],
    wanted: tuple[int, int],
    credits_: tuple[int, int],
    budgets: tuple[int, int],
) -> int:
    """Return in how many steps a side that has room gets credit, 0 if none ever does."""
    soonest = FOREVER
    for side in range(2):
        if wanted[side] <= shares[side] and budgets[side] > 0:
            soonest = min(soonest, -credits_[side] // budgets[side] + 1)
    return 0 if soonest == FOREVER else max(1, soonest)


class DualScan:
    """A `TwoEnded` plan as an adaptive one: slow, readable, and what the kernel must equal."""

    def __init__(self, plan: TwoEnded, prompt_tokens: np.ndarray, capacity_tokens: int) -> None:
        self.plan, self.prompt, self.capacity_tokens = plan, prompt_tokens, capacity_tokens
        self._accounts: dict[int, tuple[int, int]] = {}
        self._asked: tuple[int, int, int] | None = None
        self._place = {int(r): i for i, r in enumerate(plan.sequence)}
        self._credit, self._budget = [0, 0], [0, 0]
        self._last_step: int | None = None

    def _note_admission(self, batch: BatchView) -> None:
        """Book the last answer under its side, if the engine took it."""
        if self._asked is not None and batch.status[self._asked[0]] != NEW:
            request, side, footprint = self._asked
            self._accounts[request] = (side, footprint)
            self._credit[side] -= MICRO * int(self.prompt[request])
        self._asked = None

    def _relocate(self, batch: BatchView) -> None:
        """Move underestimated requests from the left account to the right one."""
        if self.plan.relocate_at is None:
            return
        for request, (side, _) in list(self._accounts.items()):
            limit = int(self.plan.relocate_at[self._place[request]])
            if side == LEFT and 0 < limit <= batch.generated_tokens[request]:
                self._accounts[request] = (RIGHT, int(self.prompt[request]) + limit)

    def _ends(self, batch: BatchView) -> tuple[int, int] | None:
        """Return the outermost places with new requests."""
        new = np.flatnonzero(batch.status[self.plan.sequence] == NEW)
        return (int(new[0]), int(new[-1])) if new.size else None

    def _used(self, batch: BatchView, wanted: int) -> int:
        booked = (self._accounts.get(int(r), (NOT_NOW, 0)) for r in batch.running)
        return sum(footprint for side, footprint in booked if side == wanted)

    def _grant(self, batch: BatchView, shares: tuple[float, float], ends: tuple[int, int]) -> None:
        """Let credits grow by the steps since the last question; budgets follow the scanners."""
        output = self.plan.output_tokens
        if output is None:
            return
        for side in (LEFT, RIGHT):
            prompt = int(self.prompt[self.plan.sequence[ends[side]]])
            budget = prefill_budget(shares[side], prompt, float(output[ends[side]]))
            if self._last_step is None:
                self._credit[side] = budget
            else:
                elapsed = batch.step - self._last_step
                credit = grown(self._credit[side], self._budget[side], elapsed)
                self._credit[side] = min(credit, budget)
            self._budget[side] = budget
        self._last_step = batch.step

    def next(self, batch: BatchView) -> int:
        """Return the request of the side whose turn it is, or that it is not yet time."""
        self._note_admission(batch)
        self._relocate(batch)
        ends = self._ends(batch)
        if ends is None:
            return NOT_NOW
        plan = self.plan
        densities = (plan.density[ends[LEFT]], plan.density[ends[RIGHT]], plan.root_density)
        shares = split_memory(float(self.capacity_tokens), *densities)
        self._grant(batch, shares, ends)
        used = self._used(batch, LEFT), self._used(batch, RIGHT)
        footprint = plan.footprint_tokens
        waiting = int(footprint[ends[LEFT]]), int(footprint[ends[RIGHT]])
        paced = plan.output_tokens is not None
        credit = (not paced or self._credit[LEFT] > 0, not paced or self._credit[RIGHT] > 0)
        idle = not (batch.status == RUNNING).any()
        side = choose_side(shares, used, waiting, credit, idle)
        if side != NOT_NOW:
            request = int(plan.sequence[ends[side]])
            self._asked = (request, side, waiting[side])
            return request
        wanted = (used[LEFT] + waiting[LEFT], used[RIGHT] + waiting[RIGHT])
        granted = (self._credit[LEFT], self._credit[RIGHT])
        budgets = (self._budget[LEFT], self._budget[RIGHT])
        steps = steps_to_credit(shares, wanted, granted, budgets) if paced else 0
        return later(steps) if steps > 0 else NOT_NOW
