"""The very integers that the compiled C computes, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from policies.rules.fixed import functions
from policies.rules.fixed.compile import FixedRule
from policies.rules.fixed.functions import Array
from policies.rules.fixed.terms import Term

OPERATIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "negative": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "clamp": lambda x, low, high: np.clip(x, low, high),
    "scale": lambda x, shift: x << shift,
    "shift": lambda x, shift: (x + (1 << shift - 1)) >> shift,
    "wide": functions.wide,
    "divide": functions.divide,
    "exp": functions.exp,
    "tanh": functions.tanh,
    "log": functions.log,
    "root": functions.root,
}
"""Kind of term -> its value, of its operands and parameters."""
COMPARE: dict[str, Callable[..., np.ndarray]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def evaluate_fixed(fixed: FixedRule, rows: Array) -> Array:
    """Return the actions, int64[n] in the action's format.

    Args:
        fixed: the rule.
        rows: int64[n, inputs] in the inputs' formats; whatever is out of bounds counts as a bound.

    Raises:
        ValueError: `rows` is not of that type and shape.
    """
    if rows.dtype != np.int64 or rows.ndim != 2 or rows.shape[1] != len(fixed.inputs):
        raise ValueError(
            f"rows: must be int64[n, {len(fixed.inputs)}], got {rows.dtype} {rows.shape}; "
            "`formats.quantised` makes them"
        )
    columns = [np.clip(rows[:, n], form.low, form.high) for n, form in enumerate(fixed.inputs)]
    return _value(fixed.body, columns, len(rows))


def _value(term: Term, columns: Sequence[Array], count: int) -> Array:
    if term.kind == "input":
        return columns[term.parameters[0]]
    if term.kind == "number":
        return np.full(count, term.parameters[0], np.int64)
    if term.kind in COMPARE:
        return _branch(term, columns, count)
    args = [_value(arg, columns, count) for arg in term.args]
    return OPERATIONS[term.kind](*args, *term.parameters)


def _branch(term: Term, columns: Sequence[Array], count: int) -> Array:
    """Return a branch's values; each side is computed where it is taken, as bounds suppose."""
    left, right, then, otherwise = term.args
    holds = COMPARE[term.kind](_value(left, columns, count), _value(right, columns, count))
    found = np.empty(count, np.int64)
    for mask, side in ((holds, then), (~holds, otherwise)):
        found[mask] = _value(side, [column[mask] for column in columns], int(mask.sum()))
    return found
