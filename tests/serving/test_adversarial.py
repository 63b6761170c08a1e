"""Adversarial pools are what they are called."""

import numpy as np
import pytest

from serving.adversarial import CHAIN_LINKS, GIANT_TOKENS, POOLS, adversarial
from serving.density import ratio
from serving.sharing import max_saved_tokens
from serving.tree import build_tree
from tests.serving.pools import RESOURCES


def made(name, requests=1000, block_tokens=16, seed=0):
    """Return a pool."""
    return adversarial(name, requests, block_tokens, np.random.default_rng(seed))


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("requests", [1, 2, 300])
def test_any_size_works_and_seeds_repeat(name, requests):
    """A pool is decided by its generator's state."""
    first, second = made(name, requests), made(name, requests)
    assert len(first.pool) == requests
    assert np.array_equal(first.pool.block_ids, second.pool.block_ids)
    assert np.array_equal(first.output_tokens, second.output_tokens)


def test_unknown_pools_are_refused():
    """The message names the pools that there are."""
    with pytest.raises(ValueError, match=r"unknown adversarial pool 'mean'.*heavy_tail"):
        made("mean")


def test_alike_and_unique():
    """All equal, and nothing shared at equal lengths."""
    alike, unique = made("alike"), made("unique")
    for workload in (alike, unique):
        assert np.ptp(workload.pool.prompt_tokens) == 0
        assert np.ptp(workload.output_tokens) == 0
    assert alike.pool.block_ids.max() + 1 == 512 // 16
    assert max_saved_tokens(unique.pool) == 0


def test_the_giant_prefix_is_most_of_every_prompt():
    """All but one request find it."""
    workload = made("giant_prefix")
    assert max_saved_tokens(workload.pool) == 999 * GIANT_TOKENS
    assert max_saved_tokens(workload.pool) / workload.pool.prompt_tokens.sum() > 0.95


def test_few_outputs_of_the_heavy_tail_weigh_most():
    """A hundredth of the requests reads more than half of the KV tokens."""
    workload = made("heavy_tail", 10_000)
    memory = RESOURCES.mem_s(workload.pool.prompt_tokens, workload.output_tokens)
    assert np.sort(memory)[-100:].sum() > 0.5 * memory.sum()
    assert max_saved_tokens(workload.pool) == 0


def test_groups_of_opposed_mix_both_kinds():
    """Densities within a group differ a hundredfold, and every group shares its prefix."""
    workload = made("opposed", 640)
    pool = workload.pool
    first = pool.block_ids[pool.block_offsets[:-1]]
    tokens = pool.prompt_tokens + workload.output_tokens
    density = ratio(
        RESOURCES.comp_s(tokens), RESOURCES.mem_s(pool.prompt_tokens, workload.output_tokens)
    )
    assert len(np.unique(first)) == 10
    for group in np.unique(first):
        inside = density[first == group]
        assert inside.max() > 100 * inside.min()


def test_chains_are_deep():
    """Every prompt of a chain extends another by a block; the tree is as deep as a chain."""
    workload = made("deep_chain", 2 * CHAIN_LINKS)
    tree = build_tree(workload.pool)
    assert tree.depth_blocks.max() == CHAIN_LINKS
    saved = 2 * 16 * CHAIN_LINKS * (CHAIN_LINKS - 1) // 2
    assert max_saved_tokens(workload.pool) == saved
