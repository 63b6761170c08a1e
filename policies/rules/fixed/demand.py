"""How large a part of a rule may be before its exact value stops to matter.

exp of up to 40 needs 58 bits before the point, which leaves few behind it. But in 1 / (1 + exp(x)),
min(exp(x), 2) or tanh(exp(x)) all large values are alike. A *cap* is handed down a rule: what is
above it may be any other number above it. exp uses the cap to limit its argument, and so has a
finer format; nothing else needs it.

Caps change no result, but for those of divisors: there a quotient below `negligible` counts as
nothing, which the error of the quotient includes.
"""

from __future__ import annotations

import math

from policies.rules.elementary import EPS, MOST_EXP, MOST_TANH
from policies.rules.intervals import Box, Interval, bounds
from policies.rules.syntax import Binary, Comparison, Number, Unary

_STEPS = 1024.0
"""Limits of exp are whole 1024ths, so that they have no rounding in any format."""


def exp_limit(cap: float) -> float:
    """Return what exp's argument may be limited to where its value matters up to `cap` only."""
    if cap >= math.exp(MOST_EXP):
        return MOST_EXP
    least = math.exp(1.0 - MOST_EXP)
    return min(math.ceil(math.log(max(cap, least)) * _STEPS + 1.0) / _STEPS, MOST_EXP)


def of_operand(node: Unary, cap: float) -> float:
    """Return the cap of an operand, of that of the operation."""
    match node.kind:
        case "exp":
            return exp_limit(cap)
        case "tanh":
            return MOST_TANH
        case "sqrt":
            return max(cap, 0.0) ** 2 if cap < 1e100 else math.inf
        case "log":
            return max(math.exp(cap), EPS) if cap < MOST_EXP else math.inf
        case _:
            return math.inf


def of_operands(node: Binary, cap: float, box: Box, negligible: float) -> tuple[float, float]:
    """Return the caps of both operands, of that of the operation."""
    left, right = bounds(node.left, box), bounds(node.right, box)
    match node:
        case Binary("+"):
            return cap - right.low, cap - left.low
        case Binary("-"):
            return cap + right.high, math.inf
        case Binary("min"):
            return min(cap, right.high), min(cap, left.high)
        case Binary("max"):
            return cap, cap
        case Binary("*", _, Number(c)) if c > 0.0:
            return cap / c, math.inf
        case Binary("*", Number(c), _) if c > 0.0:
            return math.inf, cap / c
        case Binary("/", _, Number(c)) if c >= EPS:
            return cap * c, math.inf
        case Binary("/") if right.low >= EPS and negligible > 0.0:
            return math.inf, max(-left.low, left.high) / negligible
        case _:
            return math.inf, math.inf


def of_sides(node: Comparison, box: Box) -> tuple[float, float]:
    """Return the caps of both sides of a comparison: `gap` above all that the other may be."""
    left, right = bounds(node.left, box), bounds(node.right, box)
    return right.high + gap(right), left.high + gap(left)


def gap(side: Interval) -> float:
    """Return how far above a side of a comparison the other one may be limited."""
    return max(1.0, abs(side.high))
