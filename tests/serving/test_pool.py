"""Laws of prefix identities and of the oracle boundary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.pool import PoolView, RequestPool, Workload
from tests.serving.pools import RESOURCES, view_of, workloads

WORDS = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=9), min_size=0, max_size=12)


def prefixes(prompt, size):
    """Return the block-wise prefixes of a prompt."""
    return [tuple(prompt[: (j + 1) * size]) for j in range(len(prompt) // size)]


@given(WORDS, st.integers(1, 4))
@settings(deadline=None)
def test_equal_id_means_equal_prefix(prompts, size):
    """Ids and prefixes are in one-to-one correspondence, dense, in order of appearance."""
    pool = RequestPool.from_tokens(prompts, size)
    expected = [prefix for prompt in prompts for prefix in prefixes(prompt, size)]
    numbering = {prefix: i for i, prefix in enumerate(dict.fromkeys(expected))}
    assert pool.block_ids.tolist() == [numbering[prefix] for prefix in expected]


@given(WORDS, st.integers(1, 4))
@settings(deadline=None)
def test_hashes_and_tokens_give_the_same_pool(prompts, size):
    """Blocks given by content hashes get the ids that their tokens get."""
    hashes = [
        hash(tuple(prompt[j * size : (j + 1) * size])) >> 1
        for prompt in prompts
        for j in range(len(prompt) // size)
    ]
    by_hash = RequestPool.from_hashes([len(p) for p in prompts], hashes, size)
    assert np.array_equal(by_hash.block_ids, RequestPool.from_tokens(prompts, size).block_ids)


@given(workloads())
@settings(deadline=None)
def test_subset_of_all_is_the_pool(workload):
    """Choosing every request changes nothing; choosing none gives an empty pool."""
    same = workload.subset(np.arange(len(workload.pool)))
    assert np.array_equal(same.pool.block_ids, workload.pool.block_ids)
    assert len(workload.pool.subset([])) == 0


def reachable(thing, seen):
    """Yield everything that attributes, containers and array bases lead to."""
    if id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    yield thing
    nested = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    nested += [thing.base] if isinstance(thing, np.ndarray) and thing.base is not None else []
    nested += list(thing) if isinstance(thing, list | tuple | set) else []
    nested += list(thing.values()) if isinstance(thing, dict) else []
    for part in nested:
        yield from reachable(part, seen)


def test_no_path_leads_from_a_view_to_the_truth():
    """Walk the object graph of a view: the true lengths are nowhere in it."""
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 10**6, 50)
    pool = RequestPool.from_tokens([rng.integers(0, 9, 8) for _ in truth], 4)
    workload = Workload.of(pool, truth, "secret")
    view = PoolView.of(workload.pool, np.full(50, 7.0), RESOURCES, 100)
    for thing in reachable(view, set()):
        assert not isinstance(thing, Workload)
        if isinstance(thing, np.ndarray) and thing.shape == truth.shape:
            assert not np.array_equal(thing, truth)


def test_estimates_are_copied_and_frozen():
    """A view neither shares memory with its source nor can be written to."""
    rng = np.random.default_rng(0)
    source = rng.random(2)
    pool = RequestPool.from_tokens([[1], [2]], 1)
    view = PoolView.of(pool, source, RESOURCES, 10)
    assert not np.shares_memory(source, view.estimated_output_tokens)
    for array in (view.estimated_output_tokens, pool.prompt_tokens, pool.block_ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RequestPool.from_tokens([[]], 4), "empty prompt"),
        (lambda: RequestPool.from_tokens([[1]], 0), "block_tokens"),
        (lambda: RequestPool.from_hashes([8], [1], 4), "1 block hashes for 2"),
        (lambda: RequestPool.from_hashes([1], [], 4, [1, 2]), "2 arrivals for 1"),
        (lambda: Workload.of(RequestPool.from_tokens([[1]], 1), [0], ""), "no output token"),
        (lambda: Workload.of(RequestPool.from_tokens([[1]], 1), [1, 2], ""), "2 output lengths"),
    ],
)
def test_inconsistent_pools_are_refused(build, message):
    """Sizes that disagree are errors at once."""
    with pytest.raises(ValueError, match=message):
        build()


def test_views_refuse_unusable_estimates():
    """NaN and negative estimates never reach an order."""
    workload = Workload.of(RequestPool.from_tokens([[1], [2]], 1), [1, 2], "")
    with pytest.raises(ValueError, match="finite"):
        view_of(workload, [1.0, np.nan])
    with pytest.raises(ValueError, match="1 estimates for 2"):
        view_of(workload, [1.0])
