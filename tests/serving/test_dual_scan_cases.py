"""Cases that the paper leaves open, run through the engine: see `docs/blendserve-choices.md`."""

import numpy as np
import pytest

from policies.ordering.base import FINISHED, PREEMPTED, TwoEnded
from policies.ordering.blendserve import BlendServe, Parameters
from policies.ordering.dual_scan import LEFT, RIGHT, DualScan
from serving.engine.config import EngineConfig
from serving.engine.run import simulate
from serving.estimates import oracle
from serving.pool import RequestPool, Workload
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import overlap_named
from sim.gpu.step_cost import step_costs
from tests.serving.pools import view_of

COSTS = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), overlap_named("sum"))


class Recorder(DualScan):
    """A dual scan that keeps what it was shown and what it had booked then."""

    def __init__(self, plan, prompt_tokens, capacity_tokens):
        super().__init__(plan, prompt_tokens, capacity_tokens)
        self.seen = []

    def next(self, batch):
        """Answer as ever, then note status, generated tokens, accounts and both sums."""
        answer = super().next(batch)
        used = self._used(batch, LEFT), self._used(batch, RIGHT)
        noted = batch.status.copy(), batch.generated_tokens.copy(), dict(self._accounts), used
        self.seen.append(noted)
        return answer


def recorded(workload, plan, blocks, **changes):
    """Run and return what a recorder saw, and the result."""
    config = EngineConfig(COSTS, blocks, max_batched_tokens=64, **changes)
    capacity = blocks * workload.pool.block_tokens
    recorder = Recorder(plan, workload.pool.prompt_tokens, capacity)
    return recorder, simulate(workload, oracle(workload), recorder, config, "reference")


def pool_of(prompts, outputs):
    """Return a workload with blocks of one token."""
    return Workload.of(RequestPool.from_tokens(prompts, 1), outputs, "by hand")


def test_when_one_side_runs_out_its_scanner_goes_on_into_the_other():
    """Two long answers at the right; the right scanner then takes short ones from that end."""
    outputs = [4] * 30 + [60, 60]
    workload = pool_of([[i] * 12 for i in range(32)], outputs)
    plan = BlendServe(Parameters(unit="request")).plan(
        view_of(workload, capacity=200), np.random.default_rng(0)
    )
    recorder, result = recorded(workload, plan, 200)
    sides = {request: side for request, (side, _) in recorder._accounts.items()}
    assert (result.status == FINISHED).all()
    assert {sides.get(30), sides.get(31)} == {RIGHT}
    short = [sides[r] for r in range(30) if r in sides]
    assert LEFT in short
    assert RIGHT in short


def test_scanners_that_meet_in_a_node_see_one_density():
    """One merged node: the memory is shared evenly, and both ends go on."""
    workload = pool_of([[7, 7, 7, i] for i in range(8)], [5, 9] * 4)
    view = view_of(workload, capacity=1000)
    rest = Workload.of(
        RequestPool.from_tokens([[7, 7, 7, 1], [7, 7, 7, 2], [8, 8, 9]], 1), [5, 9, 90], "two"
    )
    for case in (view, view_of(rest, capacity=1000)):
        plan = BlendServe(Parameters(split="none")).plan(case, np.random.default_rng(0))
        known = {int(r): rho for r, rho in zip(plan.sequence, plan.density, strict=True)}
        assert known[0] == pytest.approx(known[1]) or case is view
    recorder, _ = recorded(workload, BlendServe().plan(view, np.random.default_rng(0)), 100)
    assert {side for side, _ in recorder._accounts.values()} == {LEFT, RIGHT}


def test_a_shared_prefix_is_charged_to_each_or_split():
    """Whole prompts by default, as in N = M / (p + d/2); `shared` counts 3 tokens once."""
    workload = pool_of([[7, 7, 7, i] for i in range(4)], [2] * 4)
    whole, shared = (
        BlendServe(Parameters(charge=charge)).plan(view_of(workload), np.random.default_rng(0))
        for charge in ("whole", "shared")
    )
    assert whole.footprint_tokens.tolist() == [5] * 4
    assert shared.footprint_tokens.tolist() == [3] * 4  # 3/4 + 1 + 1, rounded up


def test_a_preempted_request_leaves_its_account_and_comes_back_to_it():
    """While it waits nothing is booked for it; afterwards its side is the old one."""
    workload = pool_of([[i] * 4 for i in range(6)], [20] * 6)
    plan = TwoEnded(
        np.arange(6), np.linspace(3, 1, 6), np.full(6, 5), 2.0
    )  # too small a footprint: more is let in than fits
    recorder, result = recorded(workload, plan, 40)
    assert result.totals.preemptions > 0
    sides = {}
    for status, _, accounts, used in recorder.seen:
        running = [r for r in accounts if status[r] not in (PREEMPTED, FINISHED)]
        assert sum(used) == sum(accounts[r][1] for r in running)
        for request, (side, _) in accounts.items():
            assert sides.setdefault(request, side) == side


def test_an_underestimated_request_is_booked_under_the_right():
    """From the given token on, with what it holds then; one of the right stays there."""
    workload = pool_of([[i] * 4 for i in range(8)], [30] * 8)
    plan = TwoEnded(
        np.arange(8), np.linspace(3, 1, 8), np.full(8, 6), 2.0, relocate_at=np.full(8, 5)
    )
    recorder, _ = recorded(workload, plan, 200, max_seqs=4)
    began = {}
    for _, generated, accounts, _ in recorder.seen:
        for request, (side, footprint) in accounts.items():
            if began.setdefault(request, side) == LEFT:
                late = generated[request] >= 5
                assert (side, footprint) == ((RIGHT, 9) if late else (LEFT, 6))
    assert LEFT in began.values()


def test_an_idle_engine_takes_what_fits_no_share():
    """One request larger than the memory's mean share still runs."""
    workload = pool_of([[1] * 30, [2] * 30], [8, 8])
    plan = TwoEnded(np.arange(2), np.array([3.0, 1.0]), np.full(2, 90), 2.0)
    _, result = recorded(workload, plan, 40)
    assert (result.status == FINISHED).all()
