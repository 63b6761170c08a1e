"""The value of a rule, for one set of inputs by Python floats and for many by NumPy arrays.

Both give the same bits. Python evaluates the branch that is taken; NumPy evaluates both and
picks, which is the same because no branch can fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.rules import arrays, elementary
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Expression, If, Number, Unary, Variable, hint, shown

Array = NDArray[np.float64]
T = TypeVar("T")


def evaluate(rule: Rule, inputs: Mapping[str, float]) -> float:
    """Return the action of a rule.

    Args:
        rule: the rule.
        inputs: name -> value of at least the declared inputs; any float, NaN and inf included.

    Raises:
        KeyError: a declared input is missing.
    """
    values = {
        i.name: elementary.clamped(float(_given(inputs, i.name)), i.low, i.high)
        for i in rule.inputs
    }
    return elementary.clamped(_value(rule.body, values), rule.low, rule.high) + 0.0


def evaluate_many(rule: Rule, columns: Mapping[str, ArrayLike]) -> Array:
    """Return the actions of a rule, float64 of the shape that all inputs share.

    Args:
        rule: the rule.
        columns: name -> array of at least the declared inputs, all of one shape.

    Raises:
        KeyError: a declared input is missing.
        ValueError: the shapes differ.
    """
    given = {i.name: np.asarray(_given(columns, i.name), np.float64) for i in rule.inputs}
    shapes = {values.shape for values in given.values()}
    if len(shapes) > 1:
        told = ", ".join(f"{name} {values.shape}" for name, values in given.items())
        raise ValueError(f"rule {rule.name}: inputs must be of one shape, not {told}")
    values = {i.name: arrays.clamped(given[i.name], i.low, i.high) for i in rule.inputs}
    result = np.broadcast_to(_values(rule.body, values), shapes.pop())
    return arrays.clamped(result, rule.low, rule.high) + 0.0


def _given(inputs: Mapping[str, T], name: str) -> T:
    if name not in inputs:
        raise KeyError(f"input {shown(name)} is missing{hint(name, tuple(inputs))}")
    return inputs[name]


def _value(node: Expression, values: Mapping[str, float]) -> float:
    match node:
        case Number(value):
            return value
        case Variable(name):
            return values[name]
        case Unary(kind, operand):
            return elementary.UNARY[kind](_value(operand, values))
        case Binary(kind, left, right):
            return elementary.BINARY[kind](_value(left, values), _value(right, values))
        case If(condition, then, otherwise):
            left, right = _value(condition.left, values), _value(condition.right, values)
            holds = elementary.COMPARE[condition.kind](left, right)
            return _value(then if holds else otherwise, values)


def _values(node: Expression, values: Mapping[str, Array]) -> Array:
    match node:
        case Number(value):
            return np.array(value)
        case Variable(name):
            return values[name]
        case Unary(kind, operand):
            return arrays.UNARY[kind](_values(operand, values))
        case Binary(kind, left, right):
            return arrays.BINARY[kind](_values(left, values), _values(right, values))
        case If(condition, then, otherwise):
            left, right = _values(condition.left, values), _values(condition.right, values)
            holds = arrays.COMPARE[condition.kind](left, right)
            return np.where(holds, _values(then, values), _values(otherwise, values))
