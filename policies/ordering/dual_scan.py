"""The dual scanner's arithmetic and its readable form (BlendServe section 5.3, Algorithm 3).

Two equations, M_L + M_R = M and M_L rho_L + M_R rho_R = M rho_root, split the KV memory between
the left (compute-heavy) and the right (memory-heavy) scanner. A side may admit its next request
while the footprints p + d/2 of its running requests stay within its share, and, where budgets are
enforced, while it has prefill credit: its budget C = N p / d, N = M / (p + d/2), is granted every
step, what is not used does not add up beyond one step's budget, and an admission takes its prompt
from the credit, which may go below zero. On average a side so admits N / d requests per step.

What the paper leaves open is settled here as follows; `docs/blendserve-choices.md` has the reasons
and names the test of each row.

================================  =================================================================
case                              here
================================  =================================================================
equal densities at both ends      the memory is shared evenly
root density outside the two      clamped: one side gets all
density without memory time       infinite: its side gets no share
which side goes first             the one that has used less of its share, the left at equality
nothing runs                      the side with the larger share goes, whatever its size and credit
shares move below what is booked  no admission takes both accounts together beyond M
scanners meet in one node         they see one density, so both ends go on evenly
one side runs out                 its scanner goes on into what the other has left
KV of shared prefixes             every request is charged its whole prompt, as in N = M / (p + d/2)
preempted, retracted              comes back by the engine's rules, booked under its side again
"severely underestimated"         has given `relocate` times its estimate, and `LEAST_TOKENS`
================================  =================================================================

A relocated request is booked under the right with what it then holds; one that ends early simply
leaves its account, and room for the next.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import NEW, NOT_NOW, RUNNING, BatchView, TwoEnded, later

LEFT, RIGHT = 0, 1
MICRO = 1_000_000  # budgets and credits are whole millionths of a token: sums of them are exact
FOREVER = 1 << 40
LEAST_TOKENS = 256  # below it, a wrong guess moves less KV memory than a usual prompt holds


# paper: blendserve 5.3
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


@numba.njit(cache=True)
def shares_of(
    memory: float, ends: tuple[float, float], rho_root: float, fixed_left: float
) -> tuple[float, float]:
    """Return (M_L, M_R) for the densities at the two ends, or as fixed where that is >= 0."""
    if fixed_left >= 0:
        return memory * fixed_left, memory - memory * fixed_left
    return split_memory(memory, ends[0], ends[1], rho_root)


def relocation_limits(output_tokens: NDArray[np.float64], factor: float) -> NDArray[np.int64]:
    """Return the generated tokens from which a request counts as severely underestimated.

    Args:
        output_tokens: float64[n], estimates.
        factor: how many times its estimate a request has then given; 0: never.
    """
    if factor == 0:
        return np.zeros(output_tokens.size, np.int64)
    return np.maximum(LEAST_TOKENS, np.ceil(factor * output_tokens)).astype(np.int64)


def decode_requests(memory: float, prompt: float, output: float, kv_per_token: float) -> float:
    """Return N = M / ((p + d/2) x KV per token), the requests that decode on one side."""
    return memory / ((prompt + 0.5 * output) * kv_per_token)


# paper: blendserve alg 3
def prefill_tokens_per_step(requests: float, prompt: float, output: float) -> float:
    """Return C = N p / d, the chunked-prefill tokens per step that keep N requests running."""
    return requests * prompt / output


# paper: blendserve alg 3
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
def with_room(
    shares: tuple[float, float], used: tuple[int, int], waiting: tuple[int, int]
) -> tuple[bool, bool]:
    """Return whether each side has booked less than its share, and its next request fits M.

    The last request may go beyond the share: else a share smaller than one request would stop
    its side for good, and one of two requests and a half would be kept to two.

    Args:
        shares: M_L and M_R in tokens.
        used: footprint tokens of running requests booked under each side.
        waiting: footprint tokens of each scanner's next request.
    """
    left = shares[0] + shares[1] - used[0] - used[1]
    return (
        waiting[0] <= left and used[0] < shares[0],
        waiting[1] <= left and used[1] < shares[1],
    )


@numba.njit(cache=True)
def choose_side(
    shares: tuple[float, float], used: tuple[int, int], ready: tuple[bool, bool], idle: bool
) -> int:
    """Return LEFT, RIGHT or -1; every pair is (left, right).

    Args:
        shares: M_L and M_R in tokens.
        used: footprint tokens of running requests booked under each side.
        ready: whether each side has room and prefill credit for its next request.
        idle: nothing runs or waits to resume.
    """
    if idle:
        return LEFT if shares[0] > shares[1] else RIGHT
    if ready[0] and ready[1]:
        return LEFT if used[0] * shares[1] <= used[1] * shares[0] else RIGHT
    if ready[0]:
        return LEFT
    return RIGHT if ready[1] else NOT_NOW


@numba.njit(cache=True)
def steps_to_credit(
    room: tuple[bool, bool], credits_: tuple[int, int], budgets: tuple[int, int]
) -> int:
    """Return in how many steps a side that has room gets credit, 0 if none ever does."""
    soonest = FOREVER
    for side in range(2):
        if room[side] and budgets[side] > 0:
            soonest = min(soonest, -credits_[side] // budgets[side] + 1)
    return 0 if soonest == FOREVER else max(1, soonest)


# paper: blendserve 5.3
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
        densities = (float(plan.density[ends[LEFT]]), float(plan.density[ends[RIGHT]]))
        fixed = -1.0 if plan.fixed_left_share is None else plan.fixed_left_share
        shares = shares_of(float(self.capacity_tokens), densities, plan.root_density, fixed)
        self._grant(batch, shares, ends)
        used = self._used(batch, LEFT), self._used(batch, RIGHT)
        footprint = plan.footprint_tokens
        waiting = int(footprint[ends[LEFT]]), int(footprint[ends[RIGHT]])
        paced = plan.output_tokens is not None
        room = with_room(shares, used, waiting)
        ready = (
            room[LEFT] and (not paced or self._credit[LEFT] > 0),
            room[RIGHT] and (not paced or self._credit[RIGHT] > 0),
        )
        side = choose_side(shares, used, ready, not (batch.status == RUNNING).any())
        if side != NOT_NOW:
            request = int(plan.sequence[ends[side]])
            self._asked = (request, side, waiting[side])
            return request
        granted = (self._credit[LEFT], self._credit[RIGHT])
        budgets = (self._budget[LEFT], self._budget[RIGHT])
        steps = steps_to_credit(room, granted, budgets) if paced else 0
        return later(steps) if steps > 0 else NOT_NOW
