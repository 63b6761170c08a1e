"""Dealing by density: every stretch has the pool's density, up to two items."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import ORDERS
from policies.ordering.dealing import dealt, excess_s
from policies.ordering.groups import prefix_groups
from serving.density import ratio
from serving.sharing import apportioned_tokens
from tests.serving.pools import RESOURCES, view_of, workloads

SECONDS = st.just(0.0) | st.floats(1e-9, 100)
TIMES = st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=60)


@given(TIMES)
@settings(deadline=None)
def test_the_excess_dealt_stays_within_one_item(times):
    """|sum of Comp - rho Mem over any prefix| <= the largest single excess."""
    compute, memory = np.array(times).T
    order = dealt(compute, memory)
    assert sorted(order) == list(range(order.size))
    excess = excess_s(compute, memory)
    if memory.sum() > 0:
        largest = np.abs(excess).max()
        slack = 1e-9 * (largest + compute.sum() + 1)
        assert np.abs(np.cumsum(excess[order])).max() <= largest + slack


@given(TIMES)
@settings(deadline=None)
def test_both_piles_are_dealt_from_their_extremes(times):
    """Compute-heavy items come by falling density, memory-heavy ones by rising."""
    compute, memory = np.array(times).T
    order = dealt(compute, memory)
    density, heavy = ratio(compute, memory)[order], excess_s(compute, memory)[order] >= 0
    assert (density[heavy][1:] <= density[heavy][:-1]).all()
    assert (density[~heavy][1:] >= density[~heavy][:-1]).all()


def test_equal_kinds_alternate():
    """Two kinds with opposite excess come by turns, the memory-heavy one first."""
    compute, memory = np.repeat([2.0, 0.0], 5), np.repeat([0.0, 2.0], 5)
    assert (np.diff((dealt(compute, memory) >= 5).astype(int)) != 0).all()
    assert dealt(compute, memory)[0] == 5


@given(workloads())
@settings(deadline=None)
def test_the_orders_deal_requests_and_groups(workload):
    """`interleave` deals requests alone, `interleave_groups` groups with sharing counted once."""
    view, pool, output = view_of(workload), workload.pool, workload.output_tokens
    memory = RESOURCES.mem_s(pool.prompt_tokens, output)
    plain = ORDERS.get("interleave")().plan(view, np.random.default_rng(0)).sequence
    assert np.array_equal(plain, dealt(RESOURCES.comp_s(pool.prompt_tokens + output), memory))
    order = ORDERS.get("interleave_groups")
    sequence = (
        order(order.Parameters(prefix_tokens=4)).plan(view, np.random.default_rng(0)).sequence
    )
    groups = prefix_groups(pool, 4)
    compute = groups.sums(RESOURCES.comp_s(apportioned_tokens(pool) + output))
    met = groups.of_request[sequence]
    first = np.r_[True, np.diff(met) != 0]
    assert np.array_equal(met[first], dealt(compute, groups.sums(memory)))


@given(workloads())
@settings(deadline=None)
def test_density_scan_is_a_plain_sort(workload):
    """Densities fall from the left end to the right; the scanner's root lies between them."""
    plan = ORDERS.get("density_scan")().plan(view_of(workload), np.random.default_rng(0))
    assert (np.diff(plan.density) <= 0).all()
    assert plan.density[-1] * (1 - 1e-9) <= plan.root_density <= plan.density[0] * (1 + 1e-9)
