"""Bounds of every value that an expression can take, from the bounds of its inputs.

The bounds hold for the values that are computed, rounding included. Sum, difference, product,
quotient and square root are rounded to the nearest number, which keeps order, so the same
operations at the ends of the operands' intervals bound them with no widening. exp, log and tanh
are monotone but for their last bits; their ends are moved outward by `MARGIN`, many times their
error. Each operand is taken to be free of all others: `x - x` is bounded by the width of x twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from policies.rules import elementary
from policies.rules.elementary import EPS
from policies.rules.syntax import (
    LIMIT,
    Binary,
    Comparison,
    Expression,
    If,
    Number,
    RuleError,
    Unary,
    Variable,
)
from policies.rules.write import expression_text

MARGIN = 2.0**-48
"""Relative widening of exp, log and tanh: 16 ulp or more, where they are wrong by at most 3."""


@dataclass(frozen=True, slots=True)
class Interval:
    """All values from `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


Box: TypeAlias = Mapping[str, Interval]
"""Name of an input -> its bounds."""


def bounds(node: Expression, box: Box) -> Interval:
    """Return bounds of an expression whose inputs lie in `box`.

    Raises:
        RuleError: it, or a part of it, may exceed `LIMIT` in magnitude; the message shows which.
    """
    match node:
        case Number(value):
            found = Interval(value, value)
        case Variable(name):
            found = box[name]
        case Unary(kind, operand):
            found = _UNARY[kind](bounds(operand, box))
        case Binary(kind, left, right):
            found = _BINARY[kind](bounds(left, box), bounds(right, box))
        case If(condition, then, otherwise):
            bounds(condition.left, box)
            bounds(condition.right, box)
            found = _hull(bounds(then, box), bounds(otherwise, box))
    if not (found.low >= -LIMIT and found.high <= LIMIT):
        text = expression_text(node)
        text = text if len(text) <= 80 else f"{text[:80]}..."
        worst = max(-found.low, found.high)
        raise RuleError(
            f"`{text}` may reach {worst:.1e} in magnitude, more than {LIMIT:g}; "
            "narrow the bounds of its inputs, or limit its parts by min and max"
        )
    return found


def decided(condition: Comparison, box: Box) -> bool | None:
    """Return whether a comparison holds for all inputs in `box`, or for none; None: neither."""
    if condition.left == condition.right:
        return condition.kind in ("<=", ">=")
    left, right = bounds(condition.left, box), bounds(condition.right, box)
    if condition.kind in (">", ">="):
        left, right = right, left
    if condition.kind in ("<", ">"):
        return True if left.high < right.low else False if left.low >= right.high else None
    return True if left.high <= right.low else False if left.low > right.high else None


def narrowed(box: Box, condition: Comparison, holds: bool) -> Box:
    """Return the bounds of the inputs where a comparison that `box` leaves open holds, or fails.

    Only inputs that stand alone on a side are narrowed.
    """
    left, right = condition.left, condition.right
    if (condition.kind in (">", ">=")) == holds:  # now left <= right, be it strictly or not
        left, right = right, left
    found = dict(box)
    if isinstance(left, Variable):
        own = box[left.name]
        found[left.name] = Interval(own.low, min(own.high, bounds(right, box).high))
    if isinstance(right, Variable):
        own = box[right.name]
        found[right.name] = Interval(max(own.low, bounds(left, box).low), own.high)
    return found


def _hull(a: Interval, b: Interval) -> Interval:
    return Interval(min(a.low, b.low), max(a.high, b.high))


def _ends(values: list[float]) -> Interval:
    return Interval(min(values), max(values))


def _widened(low: float, high: float) -> Interval:
    return Interval(low - MARGIN * abs(low), high + MARGIN * abs(high))


def _negative(x: Interval) -> Interval:
    return Interval(-x.high, -x.low)


def _absolute(x: Interval) -> Interval:
    if x.low >= 0.0:
        return x
    return _negative(x) if x.high <= 0.0 else Interval(0.0, max(-x.low, x.high))


def _tanh(x: Interval) -> Interval:
    wide = _widened(elementary.tanh(x.low), elementary.tanh(x.high))
    return Interval(max(wide.low, -1.0), min(wide.high, 1.0))


def _product(a: Interval, b: Interval) -> Interval:
    return _ends([x * y for x in (a.low, a.high) for y in (b.low, b.high)])


def _quotient(a: Interval, b: Interval) -> Interval:
    divisors = [b.low, b.high]
    if b.low < 0.0 <= b.high:  # next to zero the divisor jumps from -EPS to EPS
        divisors += [-EPS, EPS]
    return _ends([elementary.divide(x, y) for x in (a.low, a.high) for y in divisors])


_UNARY: dict[str, Callable[[Interval], Interval]] = {
    "-": _negative,
    "abs": _absolute,
    "sqrt": lambda x: Interval(elementary.root(x.low), elementary.root(x.high)),
    "tanh": _tanh,
    "exp": lambda x: _widened(elementary.exp(x.low), elementary.exp(x.high)),
    "log": lambda x: _widened(elementary.log(x.low), elementary.log(x.high)),
}
_BINARY: dict[str, Callable[[Interval, Interval], Interval]] = {
    "+": lambda a, b: Interval(a.low + b.low, a.high + b.high),
    "-": lambda a, b: Interval(a.low - b.high, a.high - b.low),
    "*": _product,
    "/": _quotient,
    "min": lambda a, b: Interval(min(a.low, b.low), min(a.high, b.high)),
    "max": lambda a, b: Interval(max(a.low, b.low), max(a.high, b.high)),
}
