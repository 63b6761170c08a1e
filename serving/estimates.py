"""Estimates of output lengths, made before the order is planned.

`sample` follows BlendServe section 5.1: every request is drawn with probability p; the drawn ones
run to completion first, which costs nothing extra because their answers are wanted anyway; an
undrawn request gets the mean of the drawn ones in its subtree, and where that holds none, in the
nearest subtree around it that does (its siblings). Lengths known beforehand are used as they
are. The truth is read for drawn and known requests only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.pool import Workload
from serving.tree import PrefixTree, subtree_sums

ESTIMATORS = ("oracle", "mean", "sample")


# paper: blendserve 5.4
@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated lengths, and what had to be run to get them.

    Attributes:
        output_tokens: float64[n].
        run_first: int64[s], requests that the engine must finish before the rest, pool order.
    """

    output_tokens: NDArray[np.float64]
    run_first: NDArray[np.int64]


def oracle(workload: Workload) -> Estimate:
    """Return the truth: the upper bound of what any estimator can give."""
    return Estimate(workload.output_tokens.astype(np.float64), np.empty(0, np.int64))


def mean(workload: Workload, factor: float = 1.0) -> Estimate:
    """Return the mean of the unknown lengths for each of them, as from last week's log.

    Args:
        workload: requests and true lengths.
        factor: by how much the log is off; 1: the mean is true.

    Raises:
        ValueError: the factor is not > 0.
    """
    if not factor > 0:
        raise ValueError(f"factor of the mean must be > 0, got {factor}")
    known, output = workload.output_known, workload.output_tokens.astype(np.float64)
    if not known.all():
        output[~known] = factor * output[~known].mean()
    return Estimate(output, np.empty(0, np.int64))


# paper: blendserve 5.1
def sample(workload: Workload, tree: PrefixTree, p: float, rng: np.random.Generator) -> Estimate:
    """Return subtree means of a random sample, at least one request drawn.

    Raises:
        ValueError: p lies outside (0, 1].
    """
    if not 0.0 < p <= 1.0:
        raise ValueError(f"sampling probability must lie in (0, 1], got {p}")
    draws = rng.random(len(workload.pool))
    unknown = np.flatnonzero(~workload.output_known)
    drawn = unknown[draws[unknown] < p]
    if drawn.size == 0 and unknown.size:
        drawn = unknown[[draws[unknown].argmin()]]
    seen = np.union1d(drawn, np.flatnonzero(workload.output_known))
    output = np.zeros(len(workload.pool))
    output[seen] = workload.output_tokens[seen]
    guessed = np.setdiff1d(unknown, drawn)
    output[guessed] = _subtree_means(tree, drawn, output[drawn])[tree.node_of_request[guessed]]
    return Estimate(output, drawn)


# paper: blendserve 5.1
def _subtree_means(
    tree: PrefixTree, drawn: NDArray[np.int64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return float64[k], the mean drawn length at each node or at its nearest drawn ancestor."""
    ones, values = np.zeros((2, tree.node_of_request.size))
    ones[drawn], values[drawn] = 1.0, lengths
    count, total = subtree_sums(tree, ones), subtree_sums(tree, values)
    means = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    # Parents precede children, so one pass hands each mean down; empty nodes are few levels deep.
    source = np.where(count > 0, np.arange(count.size), tree.parent)
    source[0] = 0
    while (count[source] == 0).any() and (source > 0).any():
        source = np.where(count[source] > 0, source, tree.parent[source])
        source = np.maximum(source, 0)
    return means[source]


def estimate(
    workload: Workload,
    tree: PrefixTree,
    kind: str,
    p: float,
    rng: np.random.Generator,
    factor: float = 1.0,
) -> Estimate:
    """Return the estimate called `kind`, one of `ESTIMATORS`.

    Only `sample` reads p, rng and tree, only `mean` the factor.

    Raises:
        ValueError: `kind` is unknown.
    """
    if kind == "oracle":
        return oracle(workload)
    if kind == "mean":
        return mean(workload, factor)
    if kind == "sample":
        return sample(workload, tree, p, rng)
    raise ValueError(f"unknown estimator {kind!r} (known: {', '.join(ESTIMATORS)})")
