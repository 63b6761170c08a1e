"""The stack machine: evaluates the program of a rule in compiled code, on a row of float64.

Rows may be arrays or bare pointers, as controllers' hooks get them. The arithmetic is that of
`elementary`, compiled from the same functions where they stand alone, and without fast-math.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from policies.rules import elementary
from policies.rules import opcodes as op

clamped: Any = njit(cache=True)(elementary.clamped)
divide: Any = njit(cache=True)(elementary.divide)
log: Any = njit(cache=True)(elementary.log)
reduced: Any = njit(cache=True)(elementary.reduced)
root: Any = njit(cache=True)(elementary.root)
MOST_TANH = elementary.MOST_TANH


@njit(cache=True)
def exp(x: float) -> float:
    """Return `elementary.exp(x)`."""
    k, p = reduced(x)
    return math.ldexp(1.0 + p, k)


@njit(cache=True)
def tanh(x: float) -> float:
    """Return `elementary.tanh(x)`."""
    a = abs(x)
    a = a if a < MOST_TANH else MOST_TANH
    k, p = reduced(2.0 * a)
    m = math.ldexp(p, k) + (math.ldexp(1.0, k) - 1.0)
    t = m / (m + 2.0)
    return -t if x < 0.0 else t


@njit(cache=True)
def unary(operation: int, x: float) -> float:
    """Return what an operation on one slot gives."""
    if operation == op.NEGATE:
        return -x
    if operation == op.ABS:
        return abs(x)
    if operation == op.SQRT:
        return root(x)
    if operation == op.TANH:
        return tanh(x)
    return exp(x) if operation == op.EXP else log(x)


@njit(cache=True)
def binary(operation: int, a: float, b: float) -> float:
    """Return what an operation on two slots gives."""
    if operation == op.ADD:
        return a + b
    if operation == op.SUBTRACT:
        return a - b
    if operation == op.MULTIPLY:
        return a * b
    if operation == op.DIVIDE:
        return divide(a, b)
    if operation == op.MIN:
        return a if a < b else b
    return a if a > b else b


@njit(cache=True)
def holds(operation: int, a: float, b: float) -> bool:
    """Return whether the comparison of a conditional jump holds."""
    if operation == op.UNLESS_LESS:
        return a < b
    if operation == op.UNLESS_AT_MOST:
        return a <= b
    return a > b if operation == op.UNLESS_GREATER else a >= b


@njit(cache=True)
def run(program: Any, start: int, row: Any, first_input: int, first_slot: int) -> float:
    """Return the action of a rule.

    Args:
        program: holds, from `start` on, what `program.compile_rule` returned.
        start: offset of that program.
        row: inputs and stack; only the stack is written.
        first_input: the i-th input of the rule is `row[first_input + i]`; any float64.
        first_slot: first of the slots for the stack, as many as the program's header says.

    Raises:
        ValueError: there is no program of this version at `start`.
    """
    if program[start + op.VERSION] != op.CURRENT:
        raise ValueError("no rule program of this version")
    bounds = start + op.BOUNDS
    at = bounds + 2 * int(program[start + op.INPUTS])
    top = first_slot  # the next free slot
    operation = int(program[at])
    while operation != op.END:
        at += 1
        if operation == op.NUMBER:
            row[top] = program[at]
            top += 1
            at += 1
        elif operation == op.INPUT:
            i = int(program[at])
            row[top] = clamped(
                row[first_input + i], program[bounds + 2 * i], program[bounds + 2 * i + 1]
            )
            top += 1
            at += 1
        elif operation == op.JUMP:
            at = start + int(program[at])
        elif operation >= op.UNLESS_LESS:
            top -= 2
            if holds(operation, row[top], row[top + 1]):
                at += 1
            else:
                at = start + int(program[at])
        elif operation >= op.ADD:
            top -= 1
            row[top - 1] = binary(operation, row[top - 1], row[top])
        else:
            row[top - 1] = unary(operation, row[top - 1])
        operation = int(program[at])
    low, high = program[start + op.LOW], program[start + op.HIGH]
    return clamped(row[first_slot], low, high) + 0.0
