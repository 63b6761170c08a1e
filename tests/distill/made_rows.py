"""Rows of rule inputs with a known law behind them, for tests of regressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.congestion.rule_inputs import INPUTS
from policies.distill.fronts import inputs_of
from policies.rules.evaluate import evaluate_many
from policies.rules.rule import Rule
from policies.rules.syntax import Expression

Values = NDArray[np.float64]
NAMES = ("latency_inflation", "loss", "send_ratio", "throughput_ratio")
RANGES = {"latency_inflation": (-1.0, 1.0), "send_ratio": (0.5, 2.0)}


def rows(
    count: int, names: Sequence[str] = NAMES, seed: int = 0, per_link: int = 10
) -> tuple[Values, NDArray[np.int64]]:
    """Return uniform inputs float64[count, names] and the link of each row."""
    luck = np.random.default_rng(seed)
    ranges = [RANGES.get(name, INPUTS[name][:2]) for name in names]
    columns = [luck.uniform(low, high, count) for low, high in ranges]
    return np.column_stack(columns), np.arange(count) // per_link


def by_name(table: Values, names: Sequence[str] = NAMES) -> dict[str, Values]:
    return dict(zip(names, table.T, strict=True))


def value(expression: Expression, columns: Mapping[str, Values]) -> Values:
    """Return the value of an expression on inputs within their bounds, not limited to actions."""
    rule = Rule("wide", -1e99, 1e99, inputs_of(expression), expression)
    count = len(next(iter(columns.values())))
    spare = {given.name: np.zeros(count) for given in rule.inputs}
    return evaluate_many(rule, spare | dict(columns))


def clipped_law(table: Values) -> Values:
    """Return clip(1.5 a - 0.8 b c) of the first three columns."""
    a, b, c = table.T[:3]
    return np.clip(1.5 * a - 0.8 * b * c, -1.0, 1.0)
