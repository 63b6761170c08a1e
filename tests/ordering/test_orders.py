"""Every registered order conforms, and each does what it is named for."""

import numpy as np
import pytest

from policies.ordering.base import ORDERS
from tests.ordering.conformance import OrderConformance, pools
from tests.serving.pools import view_of


@pytest.fixture(autouse=True, params=ORDERS.names())
def _order(request):
    request.cls.order = ORDERS.get(request.param)


class TestEveryOrder(OrderConformance):
    """The laws, for each registered name."""


def sequence(name, workload, seed=0):
    """Return the plan's sequence."""
    return ORDERS.get(name)().plan(view_of(workload), np.random.default_rng(seed)).sequence


class TestNamedBehaviour:
    """What the names promise."""

    def test_behaviour(self):
        """Arrival sorts by time, longest_first by output, shuffled differs by seed."""
        workload = pools()["random"]
        arrival = workload.pool.arrival_ns[sequence("arrival", workload)]
        assert (np.diff(arrival) >= 0).all()
        output = workload.output_tokens[sequence("longest_first", workload)]
        assert (np.diff(output) <= 0).all()
        shuffles = [sequence("shuffled", workload, seed).tolist() for seed in (1, 2)]
        assert shuffles[0] != shuffles[1]
