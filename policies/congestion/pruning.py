"""Networks with their smallest weights removed: pruning, counting, and sparse evaluation.

Magnitude pruning without retraining (Han, Pool, Tran, Dally, "Learning both Weights and Connections
for Efficient Neural Networks", NeurIPS 2015, first step): of all weights of the network, or of each
layer, those that are smallest in absolute value become 0. Biases stay. What remains is counted in
multiply-adds, as Sharan et al. (NeurIPS 2022) do: 1488 of Aurora's network, 744, 298 and 149 of it
pruned by 50, 80 and 90 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion.networks import flat_layers

Tensors = Mapping[str, NDArray[np.float32]]


def multiply_adds(tensors: Tensors) -> int:
    """Return how many weights are not 0: a multiplication and an addition each, per decision."""
    return sum(int(np.count_nonzero(t)) for name, t in tensors.items() if _is_weight(name))


def prune(
    tensors: Tensors, share: float, per_layer: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Return the network without the smallest weights; of equal ones the first go first.

    Args:
        tensors: `w0`, `b0`, `w1`, ... as `networks.read_safetensors` gives them; others are kept.
        share: of the weights, to remove; within half a weight.
        per_layer: remove this share of each layer, not of all layers together.

    Raises:
        ValueError: the share is not in [0, 1], or there is no weight.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"prune: share must be in 0 to 1, got {share}")
    names = sorted(name for name in tensors if _is_weight(name))
    if not names:
        raise ValueError("prune: there is no tensor w0, w1, ...")
    pruned = {name: tensor.copy() for name, tensor in tensors.items()}
    for group in [[name] for name in names] if per_layer else [names]:
        sizes = np.concatenate([np.abs(tensors[name]).ravel() for name in group])
        kept = math.floor((1.0 - share) * len(sizes) + 0.5)
        gone = np.zeros(len(sizes), np.bool_)
        gone[np.argsort(sizes, kind="stable")[: len(sizes) - kept]] = True
        ends = np.cumsum([tensors[name].size for name in group])[:-1]
        for name, mask in zip(group, np.split(gone, ends), strict=True):
            pruned[name][mask.reshape(tensors[name].shape)] = 0.0
    return pruned


def _is_weight(name: str) -> bool:
    return name[:1] == "w" and name[1:].isdigit()


def sparse_layers(tensors: Tensors, sizes: Sequence[int]) -> NDArray[np.float64]:
    """Return the layers as `sparse` reads them: per output its bias, a count, and (input, weight).

    Raises:
        ValueError: a tensor is missing, or not of the shape that `sizes` implies.
    """
    flat_layers(tensors, sizes)
    found: list[float] = []
    for i in range(len(sizes) - 1):
        weights, biases = tensors[f"w{i}"], tensors[f"b{i}"]
        for column, bias in zip(weights.T, biases, strict=True):
            used = np.flatnonzero(column)
            found += [float(bias), float(len(used))]
            for place in used:
                found += [float(place), float(column[place])]
    return np.array(found, np.float64)


@njit(cache=True)
def sparse(
    row: Any, source: int, target: int, outputs: int, layers: Any, start: int, squash: bool
) -> int:
    """Set row[target : target + outputs] to a layer of row[source:]; `layers` has it at `start`.

    As `networks.dense`, in the same order, without the terms whose weight is 0: the same numbers.
    Returns where the next layer starts.
    """
    for j in range(outputs):
        total = layers[start]
        stop = start + 2 + 2 * int(layers[start + 1])
        for at in range(start + 2, stop, 2):
            total += row[source + int(layers[at])] * layers[at + 1]
        row[target + j] = math.tanh(total) if squash else total
        start = stop
    return start
