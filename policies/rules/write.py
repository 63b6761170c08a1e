"""Rules to text that reads back as the very same rule: `parse_rule(text_of(rule)) == rule`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from policies.rules.syntax import (
    FUNCTIONS,
    Binary,
    Comparison,
    Expression,
    If,
    Number,
    RuleError,
    Unary,
    Variable,
)

if TYPE_CHECKING:  # a rule is checked with messages that this module writes
    from policies.rules.rule import Rule

MAGIC = "triptych-rule 1"
"""First line of every file of this version of the language."""
MOST_BYTES = 64 << 10
"""Size of a file, in UTF-8."""

# How tightly an expression holds together; a weaker one needs parentheses inside a stronger one.
_BRANCH, _SUM, _PRODUCT, _SIGN, _ATOM = range(5)
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


def text_of(rule: Rule) -> str:
    """Return the file of a rule, branches on lines of their own.

    Raises:
        RuleError: the text would be longer than 64 KiB, which no reader takes.
    """
    head = [
        MAGIC,
        f"name {rule.name}",
        f"action {_bounds_text(rule.low, rule.high)}",
        *(f"input {i.name} {_bounds_text(i.low, i.high)}" for i in rule.inputs),
    ]
    text = "\n".join([*head, "", *_lines(rule.body, ""), ""])
    if len(text) > MOST_BYTES:
        raise RuleError(f"rule {rule.name}: its text is longer than {MOST_BYTES} bytes; split it")
    return text


def number_text(value: float) -> str:
    """Return the shortest decimal that reads back as `value`."""
    return repr(value).removesuffix(".0")


def expression_text(node: Expression) -> str:
    """Return an expression on one line, with no more parentheses than its reading needs."""
    match node:
        case Number(value):
            return number_text(value)
        case Variable(name):
            return name
        case Unary("-", operand):
            literal = isinstance(operand, Number)  # -3 without parentheses is a number
            inner = expression_text(operand)
            return f"-({inner})" if literal else f"-{_wrapped(operand, _SIGN)}"
        case Unary(kind, operand):
            return f"{kind}({expression_text(operand)})"
        case Binary(kind, left, right) if kind in FUNCTIONS:
            return f"{kind}({expression_text(left)}, {expression_text(right)})"
        case Binary(kind, left, right):
            own = _STRENGTH[kind]
            return f"{_wrapped(left, own)} {kind} {_wrapped(right, own + 1)}"
        case If(condition, then, otherwise):
            chosen = f"then {expression_text(then)} else {expression_text(otherwise)}"
            return f"if {condition_text(condition)} {chosen}"


def condition_text(condition: Comparison) -> str:
    """Return a comparison on one line."""
    left, right = _wrapped(condition.left, _SUM), _wrapped(condition.right, _SUM)
    return f"{left} {condition.kind} {right}"


def _bounds_text(low: float, high: float) -> str:
    return f"[{number_text(low)}, {number_text(high)}]"


def _strength(node: Expression) -> int:
    match node:
        case If():
            return _BRANCH
        case Binary(kind) if kind in _STRENGTH:
            return _STRENGTH[kind]
        case Unary("-"):
            return _SIGN
        case Number(value) if math.copysign(1.0, value) < 0.0:
            return _SIGN
        case _:
            return _ATOM


def _wrapped(node: Expression, least: int) -> str:
    """Return the text of `node`, in parentheses if it holds together less than `least`."""
    text = expression_text(node)
    return text if _strength(node) >= least else f"({text})"


def _lines(node: Expression, pad: str) -> list[str]:
    """Return an expression as lines that begin with `pad`; one line unless it is a branch."""
    if not isinstance(node, If):
        return [pad + expression_text(node)]
    lines = [f"{pad}if {condition_text(node.condition)}"]
    if isinstance(node.then, If):
        lines += [f"{pad}then", *_lines(node.then, f"{pad}  ")]
    else:
        lines.append(f"{pad}then {expression_text(node.then)}")
    first, *others = _lines(node.otherwise, pad)  # chains of `else if` are not indented
    return [*lines, f"{pad}else {first.removeprefix(pad)}", *others]
