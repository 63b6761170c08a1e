"""Ordering and simulating the paper's pool size: 400,000 requests of mix #1."""

from __future__ import annotations

import resource
from functools import cache
from typing import Any

import pytest

from experiments.kinds import serving_measures as measures
from experiments.kinds.serving_config import ServingConfig
from policies.ordering.base import ORDERS
from serving.engine.run import simulate

REQUESTS = 400_000
MANY = 2_000_000


@cache
def case_of(requests: int) -> Any:
    """Return the pool of mix #1 with its engine, the same in every round."""
    workload = {"kind": "mix", "density": 1.4, "sharing": 0.35, "requests": requests}
    config = {"workload": workload, "rates": "profiled", "max_batched_tokens": 1024}
    return measures.prepare(ServingConfig.model_validate(config), seed=0)


def order(requests: int, name: str) -> Any:
    """Sample, estimate, and plan."""
    estimate, _, plan = measures.plan(case_of(requests), ORDERS.get(name)())
    return estimate, plan


def simulated(requests: int) -> Any:
    """Order and simulate; the time of ordering is in it, so that it is one whole job."""
    estimate, plan = order(requests, "blendserve")
    return simulate(case_of(requests).workload, estimate, plan, case_of(requests).engine)


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    """Compile before the clock starts."""
    order(1000, "prefix_dfs")
    simulated(1000)
    case_of(REQUESTS)


@pytest.mark.bench("serving/order400k", unit="requests/s", better="higher")
def test_order400k(measure) -> None:
    """BlendServe's order of 400,000 requests: sample, tree, densities, sort, split, scan."""
    _, plan = measure(lambda: order(REQUESTS, "blendserve"), rounds=3, amount=REQUESTS)
    assert len(plan.sequence) == REQUESTS
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_kib < 6 * 2**20, "pool and order of 400,000 requests fit 6 GiB"


@pytest.mark.bench("serving/order2m", unit="requests/s", better="higher")
def test_order2m(measure) -> None:
    """The same of two million: growth is close to linear."""
    case_of(MANY)
    _, plan = measure(lambda: order(MANY, "blendserve"), rounds=1, amount=MANY)
    assert len(plan.sequence) == MANY


@pytest.mark.bench("serving/order400k", unit="requests/s", better="higher", side="prefix_dfs")
def test_order400k_peer(measure) -> None:
    _, plan = measure(lambda: order(REQUESTS, "prefix_dfs"), rounds=3, amount=REQUESTS)
    assert len(plan.sequence) == REQUESTS


@pytest.mark.bench("serving/simulate400k", unit="s", better="lower")
def test_simulate400k(measure) -> None:
    """Order and simulate 400,000 requests with the skip-ahead."""
    result = measure(lambda: simulated(REQUESTS), rounds=3)
    assert result.totals.steps > 100_000
