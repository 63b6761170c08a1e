"""How near a rule in integers is to the rule: a measured comparison on many inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.rules import arrays
from policies.rules.evaluate import evaluate_many
from policies.rules.fixed.compile import FixedRule
from policies.rules.fixed.evaluate import evaluate_fixed
from policies.rules.fixed.formats import quantised
from policies.rules.syntax import Binary, Expression, If, Number, Unary, Variable

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        inputs: how many.
        near: inputs at which a branch or a divisor's sign is open, and which are set apart.
        range: of the action: greatest less least.
        bound: what the analysis promises of the others.
        worst: greatest difference among the others.
        mean: mean difference among them.
        worst_near: greatest difference among those set apart; 0 without any.
    """

    inputs: int
    near: int
    range: float
    bound: float
    worst: float
    mean: float
    worst_near: float


def compared(
    fixed: FixedRule,
    columns: Mapping[str, Floats],
    decide: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None,
) -> Comparison:
    """Return how far decisions in integers are from those in float64.

    Args:
        fixed: the rule in integers.
        columns: name of an input -> float64[n], rounded to its format for the integers only.
        decide: int64[n, inputs] -> int64[n], such as the compiled C; NumPy if None.
    """
    rows = quantised(fixed.inputs, columns)
    raw = evaluate_fixed(fixed, rows) if decide is None else decide(rows)
    exact = evaluate_many(fixed.rule, columns)
    off = np.abs(np.ldexp(raw.astype(np.float64), -fixed.action.fraction) - exact)
    near = near_boundary(fixed, columns)
    return Comparison(
        inputs=len(rows),
        near=int(near.sum()),
        range=fixed.rule.high - fixed.rule.low,
        bound=fixed.bound,
        worst=float(off[~near].max(initial=0.0)),
        mean=float(off[~near].mean()) if not near.all() else 0.0,
        worst_near=float(off[near].max(initial=0.0)),
    )


def sampled(fixed: FixedRule, count: int, seed: int) -> dict[str, Floats]:
    """Return inputs to compare on: half of them spread evenly, half near the lower bounds.

    The latter lie at a power of ten, 0 to -6, of the bounds' distance, as most of what a sender
    observes: RTTs near the least, few losses.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for given in fixed.rule.inputs:
        share = rng.random(count)
        share[::2] = 10.0 ** rng.uniform(-6.0, 0.0, len(share[::2]))
        found[given.name] = given.low + (given.high - given.low) * share
    return found


def near_boundary(fixed: FixedRule, columns: Mapping[str, Floats]) -> Flags:
    """Return bool[n]: whether an input is within its margin of another branch, or of a jump.

    Comparisons and divisors count where float64 comes to them.
    """
    values = {
        i.name: arrays.clamped(np.asarray(columns[i.name], np.float64), i.low, i.high)
        for i in fixed.rule.inputs
    }
    count = len(next(iter(values.values())))
    near = np.zeros(count, np.bool_)
    _walk(fixed, fixed.rule.body, values, np.ones(count, np.bool_), near)
    return near


def _walk(
    fixed: FixedRule, node: Expression, values: Mapping[str, Floats], here: Flags, near: Flags
) -> Floats:
    """Return a node's values; mark in `near` what is within a margin where `here` holds."""
    match node:
        case Number(value):
            return np.full(len(here), value)
        case Variable(name):
            return values[name]
        case Unary(kind, operand):
            return arrays.UNARY[kind](_walk(fixed, operand, values, here, near))
        case Binary(kind, left, right):
            a, b = (_walk(fixed, side, values, here, near) for side in (left, right))
            if kind == "/" and right in fixed.divisors:
                near |= here & (np.abs(b) <= fixed.divisors[right])
            return arrays.BINARY[kind](a, b)
        case If(test, then, otherwise):
            a, b = (_walk(fixed, side, values, here, near) for side in (test.left, test.right))
            near |= here & (np.abs(a - b) <= fixed.margins[test])
            holds = arrays.COMPARE[test.kind](a, b)
            chosen = _walk(fixed, then, values, here & holds, near)
            return np.where(holds, chosen, _walk(fixed, otherwise, values, here & ~holds, near))
