"""Estimators read the truth only where they may."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.estimates import estimate
from serving.pool import RequestPool, Workload
from serving.tree import build_tree
from tests.serving.pools import workloads


def sampled(workload, p, seed=0):
    """Estimate by sampling."""
    rng = np.random.default_rng(seed)
    return estimate(workload, build_tree(workload.pool), "sample", p, rng)


@given(workloads(), st.sampled_from([0.01, 0.3, 1.0]), st.integers(0, 99))
@settings(deadline=None)
def test_unsampled_truth_is_never_read(workload, p, seed):
    """Change every length that was neither drawn nor known: the estimates stay."""
    before = sampled(workload, p, seed)
    hidden = ~workload.output_known
    hidden[before.run_first] = False
    changed = workload.output_tokens + 1000 * hidden
    perturbed = Workload.of(workload.pool, changed, "perturbed", workload.output_known)
    after = sampled(perturbed, p, seed)
    assert np.array_equal(before.output_tokens, after.output_tokens)
    assert np.array_equal(before.run_first, after.run_first)


# paper: blendserve 5.4
@given(workloads())
@settings(deadline=None)
def test_full_sample_and_known_lengths_are_exact(workload):
    """p = 1 is the oracle; known lengths are exact at any p and never drawn."""
    assert np.array_equal(sampled(workload, 1.0).output_tokens, workload.output_tokens)
    few = sampled(workload, 0.01)
    known = workload.output_known
    assert np.array_equal(few.output_tokens[known], workload.output_tokens[known])
    assert not known[few.run_first].any()


# paper: blendserve 5.1
def test_means_come_from_the_nearest_subtree_with_a_sample():
    """Unsampled requests follow their own subtree, a bare subtree its siblings."""
    prompts = [[1, 1, i] for i in range(40)] + [[1, 2, i] for i in range(40)] + [[3, 3, 3]]
    output = [10] * 40 + [30] * 40 + [99]
    workload = Workload.of(RequestPool.from_tokens(prompts, 1), output, "two groups")
    got = sampled(workload, 0.2, seed=1)
    assert (got.output_tokens[:40] == 10).all()
    assert (got.output_tokens[40:80] == 30).all()
    assert 80 not in got.run_first
    assert 10 < got.output_tokens[80] < 30


def test_mean_keeps_the_total_and_bad_arguments_are_refused():
    """The mean estimator is unbiased; unknown kinds and probabilities are errors."""
    workload = Workload.of(RequestPool.from_tokens([[1], [2], [3]], 1), [1, 2, 6], "")
    tree, rng = build_tree(workload.pool), np.random.default_rng(0)
    assert estimate(workload, tree, "mean", 0.1, rng).output_tokens.tolist() == [3, 3, 3]
    assert estimate(workload, tree, "mean", 0.1, rng, 4.0).output_tokens.tolist() == [12, 12, 12]
    with pytest.raises(ValueError, match="factor of the mean"):
        estimate(workload, tree, "mean", 0.1, rng, 0.0)
    with pytest.raises(ValueError, match="unknown estimator"):
        estimate(workload, tree, "magic", 0.1, rng)
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        estimate(workload, tree, "sample", 0.0, rng)
