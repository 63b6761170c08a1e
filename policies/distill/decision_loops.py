"""Loops over decisions in compiled code, to time the evaluators that controllers run.

Each loop takes its inputs row by row, round and round, and reads the next row only where the last
action is known, so that no two decisions overlap: in a sender they are an interval apart. The
sum of the actions is returned, so that none can be left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.monitor import clamp
from policies.congestion.networks import forward
from policies.congestion.pruning import sparse
from policies.rules.machine import run


@njit(cache=True)
def following(at: int, action: float, count: int) -> int:
    """Return the next row, which waits for the action: above 2, where none is, it were another."""
    at += 1 + int(action > 2.0)
    return 0 if at >= count else at


@njit(cache=True)
def rule_decisions(program: Any, slots: int, rows: Any, decisions: int) -> float:
    """Return the sum of a rule's actions on the stack machine.

    Args:
        program: as `policies.rules.program.compile_rule` returns it.
        slots: of the stack.
        rows: float64[n, inputs], the rule's inputs in its order.
        decisions: how many.
    """
    count, width = rows.shape
    row = np.empty(width + slots)
    total, at = 0.0, 0
    for _ in range(decisions):
        for i in range(width):
            row[i] = rows[at, i]
        action = run(program, 0, row, 0, width)
        total += action
        at = following(at, action, count)
    return total


@njit(cache=True)
def network_decisions(network: Any, room: int, rows: Any, decisions: int) -> float:
    """Return the sum of a dense network's actions, brought into [-1, 1].

    Args:
        network: as `policies.congestion.networks.packed` returns it.
        room: sum of the sizes of all layers, inputs included.
        rows: float64[n, inputs].
        decisions: how many.
    """
    count, width = rows.shape
    row = np.empty(room)
    total, at = 0.0, 0
    for _ in range(decisions):
        for i in range(width):
            row[i] = rows[at, i]
        action = clamp(row[forward(row, 0, network, 0)], -1.0, 1.0)
        total += action
        at = following(at, action, count)
    return total


@njit(cache=True)
def pruned_decisions(layers: Any, sizes: Any, rows: Any, decisions: int) -> float:
    """Return the sum of a pruned network's actions, brought into [-1, 1].

    Args:
        layers: as `policies.congestion.pruning.sparse_layers` returns them.
        sizes: int64[layers + 1], inputs first.
        rows: float64[n, inputs].
        decisions: how many.
    """
    count, width = rows.shape
    row = np.empty(sizes.sum())
    last = len(sizes) - 2
    total, at = 0.0, 0
    for _ in range(decisions):
        for i in range(width):
            row[i] = rows[at, i]
        source, start = 0, 0
        for layer in range(last + 1):
            target = source + sizes[layer]
            outputs = sizes[layer + 1]
            start = sparse(row, source, target, outputs, layers, start, layer < last)
            source = target
        action = clamp(row[source], -1.0, 1.0)
        total += action
        at = following(at, action, count)
    return total
