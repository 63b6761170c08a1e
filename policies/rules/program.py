"""Rules to programs of the stack machine in `machine`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.rules import opcodes as op
from policies.rules.rule import Rule
from policies.rules.syntax import MOST_DEPTH, Binary, Expression, If, Number, Unary, Variable

MOST_SLOTS = MOST_DEPTH
"""Stack slots that suffice for any rule."""

_UNARY = {
    "-": op.NEGATE,
    "abs": op.ABS,
    "sqrt": op.SQRT,
    "tanh": op.TANH,
    "exp": op.EXP,
    "log": op.LOG,
}
_BINARY = {
    "+": op.ADD,
    "-": op.SUBTRACT,
    "*": op.MULTIPLY,
    "/": op.DIVIDE,
    "min": op.MIN,
    "max": op.MAX,
}
_UNLESS = {
    "<": op.UNLESS_LESS,
    "<=": op.UNLESS_AT_MOST,
    ">": op.UNLESS_GREATER,
    ">=": op.UNLESS_AT_LEAST,
}


def compile_rule(rule: Rule) -> NDArray[np.float64]:
    """Return float64[n]: the program of a rule (see `opcodes`), position-independent."""
    bounds = [end for i in rule.inputs for end in (i.low, i.high)]
    slots = stack_slots(rule.body)
    code = [op.CURRENT, len(rule.inputs), slots, rule.low, rule.high, *bounds]
    _emit(rule.body, {i.name: n for n, i in enumerate(rule.inputs)}, code)
    code.append(op.END)
    return np.array(code, np.float64)


def stack_slots(node: Expression) -> int:
    """Return how many slots the machine needs for an expression, at most `MOST_SLOTS`."""
    match node:
        case Unary():
            return stack_slots(node.operand)
        case Binary():
            return max(stack_slots(node.left), 1 + stack_slots(node.right))
        case If():
            condition = node.condition
            test = max(stack_slots(condition.left), 1 + stack_slots(condition.right))
            return max(test, stack_slots(node.then), stack_slots(node.otherwise))
        case _:
            return 1


def _emit(node: Expression, index: dict[str, int], code: list[float]) -> None:
    """Append the instructions that push the value of `node`."""
    match node:
        case Number(value):
            code += [op.NUMBER, value]
        case Variable(name):
            code += [op.INPUT, index[name]]
        case Unary(kind, operand):
            _emit(operand, index, code)
            code.append(_UNARY[kind])
        case Binary(kind, left, right):
            _emit(left, index, code)
            _emit(right, index, code)
            code.append(_BINARY[kind])
        case If(condition, then, otherwise):
            _emit(condition.left, index, code)
            _emit(condition.right, index, code)
            code += [_UNLESS[condition.kind], 0.0]
            to_otherwise = len(code) - 1
            _emit(then, index, code)
            code += [op.JUMP, 0.0]
            to_end = len(code) - 1
            code[to_otherwise] = len(code)
            _emit(otherwise, index, code)
            code[to_end] = len(code)
