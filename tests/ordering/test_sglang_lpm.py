"""SGLang's sorting of the waiting queue, and where it gives up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import FINISHED, FUTURE, NEW, NOT_NOW, BatchView
from policies.ordering.sglang_lpm import LpmParameters, SglangLpm
from serving.pool import RequestPool, Workload
from serving.tree import build_tree, dfs_order
from tests.serving.pools import random_workload, view_of, workloads


def queue_of(workload, **parameters):
    """Return the plan."""
    return SglangLpm(LpmParameters(**parameters)).plan(view_of(workload), np.random.default_rng(0))


def answers(plan, status, cached, step=1):
    """Return the order in which a step admits everything, and the status array filled in."""
    none, order = np.zeros(status.size, np.int64), []
    lookup = np.asarray(cached).__getitem__
    while (r := plan.next(BatchView(0, step, status, none[:0], none, none, 9, 9, 9, lookup))) >= 0:
        status[r] = FINISHED
        order.append(r)
    assert r == NOT_NOW
    return order


@given(workloads(), st.data())
@settings(deadline=None)
def test_a_short_queue_goes_by_longest_match(workload, data):
    """With matches above the threshold the queue is a stable sort by match, longest first."""
    n = len(workload.pool)
    cached = data.draw(st.lists(st.integers(33, 40), min_size=n, max_size=n))
    by_arrival = np.argsort(workload.pool.arrival_ns, kind="stable")
    expected = by_arrival[np.argsort(-np.array(cached)[by_arrival], kind="stable")]
    found = answers(queue_of(workload), np.full(n, NEW, np.int8), cached)
    assert found == expected.tolist()


@pytest.mark.parametrize("feed", ["arrival", "dfs"])
def test_above_128_it_is_first_come_first_served(feed):
    """129 waiting requests are not sorted, 128 are."""
    rng = np.random.default_rng(1)
    workload = random_workload(rng, 129, 2)
    by_arrival = np.argsort(workload.pool.arrival_ns, kind="stable")
    fed = dfs_order(build_tree(workload.pool)) if feed == "dfs" else by_arrival
    cached = rng.integers(33, 90, 129)
    status = np.full(129, NEW, np.int8)
    assert answers(queue_of(workload, feed=feed), status.copy(), cached) == fed.tolist()
    status[fed[0]] = FINISHED
    by_match = fed[1:][np.argsort(-cached[fed[1:]], kind="stable")]
    assert answers(queue_of(workload, feed=feed), status, cached) == by_match.tolist()


def test_it_sorts_as_soon_as_128_are_left():
    """The order changes in the middle of a run, once the queue has shrunk."""
    workload = random_workload(np.random.default_rng(2), 130, 2)
    by_arrival = np.argsort(workload.pool.arrival_ns, kind="stable")
    cached = np.arange(130) + 33
    status, plan = np.full(130, NEW, np.int8), queue_of(workload)
    none = np.zeros(130, np.int64)
    found = []
    for step in range(130):
        seen = (status, none[:0], none, none, 9, 9, 9, cached.__getitem__)
        found.append(plan.next(BatchView(0, step, *seen)))
        status[found[-1]] = FINISHED
    assert found[:2] == by_arrival[:2].tolist()
    assert found[2:] == sorted(by_arrival[2:].tolist(), reverse=True)


def test_one_computes_the_prefix_and_the_others_wait():
    """Of those that share 32 uncached tokens the first goes ahead, the others come last."""
    long, other = list(range(40)), list(range(100, 140))
    prompts = [[*long, 1], [*long, 2], [*other, 1], [*long, 3], [7, 7, 7]]
    workload = Workload.of(RequestPool.from_tokens(prompts, 8), [1] * 5, "shared")
    new = np.full(5, NEW, np.int8)
    assert answers(queue_of(workload), new.copy(), [0] * 5) == [0, 2, 4, 1, 3]
    assert answers(queue_of(workload, shared_tokens=0), new.copy(), [0] * 5) == [0, 1, 2, 3, 4]
    assert answers(queue_of(workload), new.copy(), [40] * 4 + [0]) == [0, 1, 2, 3, 4]
    assert answers(queue_of(workload, shared_tokens=48), new.copy(), [0] * 5) == [0, 1, 2, 3, 4]


def test_the_queue_keeps_its_order_within_a_step():
    """Matches that change while a step admits do not reorder it; the next step's do."""
    workload = Workload.of(RequestPool.from_tokens([[i] for i in range(3)], 1), [1] * 3, "three")
    plan, status, none = queue_of(workload), np.full(3, NEW, np.int8), np.zeros(3, np.int64)
    cached = [33, 34, 35]
    for step, expected in ((1, 2), (1, 2), (2, 0)):
        view = BatchView(0, step, status, none[:0], none, none, 9, 9, 9, cached.__getitem__)
        assert plan.next(view) == expected
        cached = [50, 34, 35]


def test_arrivals_join_the_end():
    """What comes later stands behind what waits, even depth-first."""
    prompts = [[1, 1], [2, 2], [1, 1], [2, 2]]
    pool = RequestPool.from_tokens(prompts, 1, [0, 0, 5, 5])
    plan = queue_of(Workload.of(pool, [1] * 4, "two waves"), feed="dfs", sort_up_to=0)
    none = np.zeros(4, np.int64)
    status = np.array([NEW, NEW, FUTURE, FUTURE], np.int8)
    nobody = (none[:0], none, none, 9, 9, 9, [0] * 4)
    assert plan.next(BatchView(0, 0, status, *nobody[:-1], nobody[-1].__getitem__)) == 0
    status[2:] = NEW
    assert answers(plan, status, [0] * 4) == [0, 1, 2, 3]


def test_bad_parameters_are_named():
    """The message names the field and what is allowed."""
    with pytest.raises(ValueError, match="feed must be 'arrival' or 'dfs'"):
        LpmParameters(feed="random")
    with pytest.raises(ValueError, match="sort_up_to must be >= 0"):
        LpmParameters(sort_up_to=-1)
