"""Which leaves break the falling order of densities, and by how much (BlendServe section 5.2)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from policies.ordering.density_sort import Densities
from policies.ordering.monotone import SAME, misplaced_s


def outlying_s(
    densities: Densities, loose: NDArray[np.bool_], cost_tokens: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return float64[n], seconds of compute by which each request is out of place; 0: it is not.

    A request is out of place by what it differs from the best falling fit. Where those of one
    piece (what hangs together below the root) are denser than the fit, the piece stands too far
    to the right, and it is often one long answer that holds it there: then the requests less
    dense than the piece are out of place instead, by what they differ from it, if cutting them
    costs less. Likewise on the other side. All zeros: leaf densities fall (C1).

    Args:
        densities: tree and times.
        loose: bool[k + n], items that are cut already.
        cost_tokens: int64[k + n], what it costs to cut an item.
    """
    tree, k = densities.tree, densities.tree.parent.size
    order = densities.sorted_order(loose)
    excess = np.zeros(order.size)
    found, falls = misplaced_s(densities.compute_s[order], densities.memory_s[order])
    if falls:
        return excess
    excess[order] = found
    alone = tree.requests[tree.node_of_request] == 1
    price = np.where(alone, cost_tokens[tree.node_of_request], cost_tokens[k:])
    piece = _pieces(tree.parent, tree.node_of_request, loose)
    return _or_what_holds_them(densities, excess, price.astype(np.float64), piece)


def _or_what_holds_them(
    densities: Densities,
    excess: NDArray[np.float64],
    price: NDArray[np.float64],
    piece: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the excess, replaced per piece and side by what holds the piece where cheaper."""
    compute, memory = densities.compute_s, densities.memory_s
    held = np.bincount(piece, memory)
    mean = np.divide(np.bincount(piece, compute), held, out=np.zeros(held.size), where=held > 0)
    own = compute - memory * mean[piece]
    own[(np.abs(own) < SAME * compute) | (held[piece] == 0)] = 0.0
    value = excess.copy()
    for sign in (1.0, -1.0):
        breaks, holds = sign * excess > 0, sign * own < 0
        to_move = np.bincount(piece, price * breaks)
        to_free = np.bincount(piece, price * holds)
        cheaper = ((to_free > 0) & (to_free < to_move))[piece]
        value[cheaper & breaks] = 0.0
        value[cheaper & holds] = own[cheaper & holds]
    return value


@numba.njit(cache=True)
def _pieces(parent: np.ndarray, node_of_request: np.ndarray, loose: np.ndarray) -> np.ndarray:
    """Return per request the item below the root that it hangs with."""
    k = parent.size
    top = np.arange(k)
    for node in range(1, k):
        if parent[node] > 0 and not loose[node]:
            top[node] = top[parent[node]]
    piece = np.empty(node_of_request.size, np.int64)
    for r in range(piece.size):
        node = node_of_request[r]
        piece[r] = k + r if loose[k + r] or node == 0 else top[node]
    return piece
