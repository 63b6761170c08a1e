"""Generated pools have the properties that they promise."""

import numpy as np
import pytest

from serving.mixes import blend
from serving.sharing import max_saved_tokens, pool_density
from serving.standins import STANDINS
from serving.traces.catalog import TRACES
from tests.serving.pools import RESOURCES


# paper: blendserve 6.2
@pytest.mark.parametrize(
    ("density", "sharing", "requests"),
    [(1.4, 0.35, 50_000), (0.9, 0.35, 20_000), (1.4, 0.05, 20_000), (0.9, 0.05, 5_000)],
)
def test_targets_are_met(density, sharing, requests):
    """The paper's four mixes come out within 12 % of the density and 0.01 of the sharing."""
    workload = blend(density, sharing, requests, 8, np.random.default_rng(1))
    pool, output = workload.pool, workload.output_tokens
    saved = max_saved_tokens(pool)
    assert len(pool) == requests
    assert pool_density(pool, output, saved, RESOURCES) == pytest.approx(density, rel=0.12)
    total = int(pool.prompt_tokens.sum() + output.sum())
    assert saved / total == pytest.approx(sharing, abs=0.01)
    assert workload.output_known.sum() >= 39


def test_memory_time_rests_on_few_requests():
    """Videos are under 2 % of the requests and carry most of the memory time."""
    workload = blend(1.4, 0.35, 50_000, 8, np.random.default_rng(0))
    memory = RESOURCES.mem_s(workload.pool.prompt_tokens, workload.output_tokens)
    video = workload.output_known
    assert video.mean() < 0.02
    assert memory[video].sum() / memory.sum() > 0.85


def test_unreachable_targets_are_refused():
    """More sharing than MMLU has cannot be mixed."""
    with pytest.raises(ValueError, match="no mix"):
        blend(1.4, 0.95, 5_000, 8, np.random.default_rng(0))


def test_same_seed_same_mix():
    """A generator's state decides everything."""
    first, second = (blend(1.0, 0.2, 2_000, 8, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first.pool.block_ids, second.pool.block_ids)
    assert np.array_equal(first.output_tokens, second.output_tokens)


@pytest.mark.parametrize(
    ("name", "prompt", "output", "sharing"),
    [
        ("mooncake-conversation", 12_035, 343, 0.37),
        ("azure-code-2023", 2048, 28, 0.0),
        ("arxiv-summarisation", 2588, 291, 0.0),
    ],
)
def test_standins_have_the_published_means(name, prompt, output, sharing):
    """Means within 8 %, sharing within 0.03."""
    entry = TRACES[name]
    workload = STANDINS[name](entry.requests, entry.block_tokens, np.random.default_rng(0))
    pool = workload.pool
    assert len(pool) == entry.requests
    assert pool.prompt_tokens.mean() == pytest.approx(prompt, rel=0.08)
    assert workload.output_tokens.mean() == pytest.approx(output, rel=0.08)
    assert max_saved_tokens(pool) / pool.prompt_tokens.sum() == pytest.approx(sharing, abs=0.03)
    assert (np.diff(pool.arrival_ns) >= 0).all()
