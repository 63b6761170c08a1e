"""Random rules and inputs, from a numpy generator or from Hypothesis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from numpy.typing import NDArray

from policies.rules.elementary import EPS
from policies.rules.rule import Rule
from policies.rules.syntax import (
    BINARY,
    COMPARISONS,
    UNARY,
    Binary,
    Comparison,
    Expression,
    If,
    Input,
    Number,
    RuleError,
    Unary,
    Variable,
)

Pick = Callable[[Sequence[Any]], Any]

INPUTS = (
    Input("ratio", -2.0, 3.0),
    Input("loss", 0.0, 1.0),
    Input("rate", 1.0, 1e6),
    Input("slope", -1e3, 1e-3),
)
CONSTANTS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 0.1, -7.25, 40.0, -40.0, 20.0, 1e3),
    *(EPS, -EPS, EPS / 2.0, -EPS / 2.0, 1e-9, 5e-324, 2.0**-1022, 1e30, 0.6931471805599453),
)
ACTIONS = ((-1.0, 1.0), (0.0, 1.0), (-1e30, 1e30), (0.25, 7.0), (-5e-324, 1e-3))
SPECIALS = (
    *(0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 5e-324, -5e-324, 2.0**-1022, 1e308, -1e308),
    *(EPS, -EPS, np.nextafter(EPS, 0.0), np.nextafter(-EPS, 0.0), 1.0, -1.0, 1.0 + 2.0**-52),
)


def random_number(pick: Pick) -> Number:
    if pick((False, True)):
        return Number(pick(CONSTANTS))
    return Number(pick(range(-2000, 2000)) / pick((1, 7, 64, 1000)))


def random_expression(pick: Pick, depth: int) -> Expression:
    kind = pick(("leaf", "unary", "binary", "binary", "if")) if depth > 1 else "leaf"
    if kind == "leaf":
        leaf = pick((random_number, None, None))
        return leaf(pick) if leaf else Variable(pick(INPUTS).name)
    below = depth - 1
    if kind == "unary":
        return Unary(pick(UNARY), random_expression(pick, below))
    if kind == "binary":
        parts = random_expression(pick, below), random_expression(pick, below)
        return Binary(pick(BINARY), *parts)
    parts = random_expression(pick, below), random_expression(pick, below)
    condition = Comparison(pick(COMPARISONS), *parts)
    return If(condition, random_expression(pick, below), random_expression(pick, below))


def random_rule(pick: Pick, depth: int) -> Rule:
    """Return a rule; RuleError if a part of it may become too large."""
    low, high = pick(ACTIONS)
    return Rule("random", low, high, INPUTS, random_expression(pick, depth))


def many_rules(count: int, seed: int, depth: int = 6) -> list[Rule]:
    rng = np.random.default_rng(seed)

    def pick(options: Sequence[Any]) -> Any:
        return options[rng.integers(len(options))]

    found: list[Rule] = []
    while len(found) < count:
        with contextlib.suppress(RuleError):  # a part of it may become too large
            found.append(random_rule(pick, depth))
    return found


@st.composite
def rules(draw: Any, depth: int = 5) -> Rule:
    try:
        return random_rule(lambda options: draw(st.sampled_from(options)), depth)
    except RuleError:
        reject()


@st.composite
def inputs_of(draw: Any) -> dict[str, float]:
    """Draw values within the bounds, at their ends, and anywhere else."""
    return {
        i.name: draw(
            st.floats(i.low, i.high)
            | st.sampled_from((i.low, i.high, *SPECIALS))
            | st.floats(allow_nan=True)
        )
        for i in INPUTS
    }


def many_inputs(
    rng: np.random.Generator, count: int, inputs: Sequence[Input] = INPUTS
) -> NDArray[np.float64]:
    """Return float64[count, inputs]: in bounds, normal, any bits, or special; mixed in each row."""
    shape = (count, len(inputs))
    low = np.array([i.low for i in inputs])
    high = np.array([i.high for i in inputs])
    inside = low + (high - low) * rng.random(shape)
    ends = np.where(rng.random(shape) < 0.5, low, high)
    any_bits = rng.integers(0, 2**64, shape, np.uint64).view(np.float64)
    special = rng.choice(np.array(SPECIALS), shape)
    kind = rng.choice(6, shape, p=(0.55, 0.15, 0.05, 0.1, 0.1, 0.05))
    near = inside * 10.0 ** rng.uniform(-12.0, 0.0, shape)
    choices = [inside, near, ends, rng.normal(0.0, 3.0, shape), any_bits, special]
    return np.choose(kind, choices)


def columns(rows: NDArray[np.float64], inputs: Sequence[Input] = INPUTS) -> dict[str, Any]:
    return {i.name: rows[:, n] for n, i in enumerate(inputs)}


def bits(values: Any) -> NDArray[np.int64]:
    return np.ascontiguousarray(values, np.float64).view(np.int64)
