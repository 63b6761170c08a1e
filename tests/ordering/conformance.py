"""What every request order must do; inherit from `OrderConformance` to check your own."""

from typing import ClassVar

import numpy as np
import pytest

from policies.ordering.base import (
    FINISHED,
    NEW,
    NOT_NOW,
    RUNNING,
    BatchView,
    OneEnded,
    TwoEnded,
)
from serving.pool import RequestPool, Workload
from tests.serving.pools import random_workload, view_of


def pools():
    """Return name -> workload: the cases that break careless orders."""
    rng = np.random.default_rng(7)
    equal = [[1, 2, 3, 4]] * 6
    unique = [[i, i, i] for i in range(6)]
    short = [[1], [1], [2]]
    made = {
        name: Workload.of(RequestPool.from_tokens(prompts, 2), [3] * len(prompts), name)
        for name, prompts in {
            "none": [],
            "one": [[5, 5, 5]],
            "all equal": equal,
            "all unique": unique,
            "below a block": short,
        }.items()
    }
    return made | {"random": random_workload(rng, 60, 2)}


def admitted(plan, n):
    """Return the order in which a plan admits n requests one after the other."""
    if isinstance(plan, OneEnded | TwoEnded):
        return list(map(int, plan.sequence))
    status, order, none = np.full(n, NEW, np.int8), [], np.zeros(n, np.int64)
    for _ in range(n):
        running = np.flatnonzero(status == RUNNING)
        seen = (status, running, none, none, 9, 9, 99, lambda _: 0)
        request = plan.next(BatchView(0, 0, *seen))
        assert request != NOT_NOW, "an idle engine must be given a request"
        status[request] = FINISHED
        order.append(int(request))
    return order


class OrderConformance:
    """Laws of a `RequestOrder`; `order` is the class under test."""

    order: ClassVar[type]

    def plan(self, workload, seed=0):
        """Return the plan for a workload."""
        return self.order().plan(view_of(workload), np.random.default_rng(seed))

    @pytest.mark.parametrize("case", list(pools()))
    def test_every_request_is_admitted_once(self, case):
        """A plan covers the pool: no loss, no repetition."""
        workload = pools()[case]
        n = len(workload.pool)
        assert sorted(admitted(self.plan(workload), n)) == list(range(n))

    def test_same_seed_same_plan(self):
        """Chance comes from the generator alone."""
        workload = pools()["random"]
        n = len(workload.pool)
        first, second = (admitted(self.plan(workload, 5), n) for _ in range(2))
        assert first == second

    def test_view_is_left_alone(self):
        """Planning changes nothing that it was shown."""
        workload = pools()["random"]
        view = view_of(workload)
        before = [view.estimated_output_tokens.copy(), view.pool.block_ids.copy()]
        self.order().plan(view, np.random.default_rng(0))
        assert np.array_equal(before[0], view.estimated_output_tokens)
        assert np.array_equal(before[1], view.pool.block_ids)

    def test_estimates_matter_only_where_declared(self):
        """An order with `needs_estimates` False gives the same plan for any estimates."""
        if self.order.needs_estimates:
            return
        workload = pools()["random"]
        n = len(workload.pool)
        plans = [
            self.order().plan(view_of(workload, np.full(n, value)), np.random.default_rng(1))
            for value in (1.0, 50.0)
        ]
        assert admitted(plans[0], n) == admitted(plans[1], n)
