"""Random pools for the tests of the serving panel."""

import numpy as np
from hypothesis import strategies as st

from serving.density import ResourceModel
from serving.pool import PoolView, RequestPool, Workload
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named

RESOURCES = ResourceModel.of(gpu_named("a100-80"), model_named("llama-3-8b"))


def random_workload(rng, requests, block_tokens, longest_prompt=20, longest_output=25, letters=2):
    """Return a workload whose prompts are random words over few letters, so that many share."""
    prompts = [rng.integers(0, letters, rng.integers(1, longest_prompt)) for _ in range(requests)]
    output = rng.integers(1, longest_output, requests)
    arrival = rng.integers(0, 40_000, requests)
    pool = RequestPool.from_tokens(prompts, block_tokens, arrival)
    return Workload.of(pool, output, "random", rng.random(requests) < 0.2)


def view_of(workload, estimates=None, capacity=1000):
    """Return a view with the given estimates, the truth by default."""
    estimates = workload.output_tokens if estimates is None else estimates
    return PoolView.of(workload.pool, estimates, RESOURCES, capacity)


@st.composite
def workloads(draw, max_requests=24):
    """Strategy: a small random workload."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random_workload(
        rng, draw(st.integers(1, max_requests)), draw(st.sampled_from([1, 2, 3, 4]))
    )
