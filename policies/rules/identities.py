"""Rewritings of one operation that keep every result and make the expression smaller.

Each holds for all inputs within their bounds, bit for bit but for the sign of zeros, which no
result of a rule shows (see `elementary`). They hold because all values are finite, because
rounding is symmetric in sign, and where said because of the bounds of the operands.
"""

from __future__ import annotations

from policies.rules.elementary import BINARY, EPS, UNARY
from policies.rules.intervals import Box, bounds
from policies.rules.syntax import Binary, Expression, Number, Unary


def smaller_form(node: Unary | Binary, box: Box) -> Expression:
    """Return an equal expression with fewer nodes and no more operations, or `node` itself.

    Its operands are taken as they are.
    """
    known = bounds(node, box)
    if known.low == known.high:
        return Number(known.low + 0.0)  # two constants among others; no -0.0
    if isinstance(node, Unary):
        if isinstance(node.operand, Number):  # exp, log and tanh: their bounds are wider
            return Number(UNARY[node.kind](node.operand.value))
        return _OF_UNARY[node.kind](node, box) if node.kind in _OF_UNARY else node
    return _OF_BINARY[node.kind](node, box)


def _negative(node: Unary, box: Box) -> Expression:
    match node.operand:
        case Unary("-", x):
            return x
        case Binary("-", a, b):
            return Binary("-", b, a)
        case Binary(("*" | "/") as kind, Number(c), x):
            return Binary(kind, Number(-c), x)
        case Binary("*", x, Number(c)):
            return Binary("*", x, Number(-c))
        case Binary("/", x, Number(c)) if abs(c) >= EPS:  # a guarded divisor has no sign
            return Binary("/", x, Number(-c))
    return node


def _absolute(node: Unary, box: Box) -> Expression:
    if bounds(node.operand, box).low >= 0.0:
        return node.operand
    match node.operand:
        case Unary("-", x):
            return Unary("abs", x)
    return node


def _sum(node: Binary, box: Box) -> Expression:
    match node.left, node.right:
        case (Number(0.0), x) | (x, Number(0.0)):
            return x
        case x, Unary("-", y):
            return Binary("-", x, y)
        case Unary("-", x), y:
            return Binary("-", y, x)
    return node


def _difference(node: Binary, box: Box) -> Expression:
    match node.left, node.right:
        case x, Number(0.0):
            return x
        case Number(0.0), x:
            return Unary("-", x)
        case x, Unary("-", y):
            return Binary("+", x, y)
        case x, y if x == y:
            return Number(0.0)
    return node


def _product(node: Binary, box: Box) -> Expression:
    match node.left, node.right:
        case (Number(1.0), x) | (x, Number(1.0)):
            return x
        case (Number(-1.0), x) | (x, Number(-1.0)):
            return Unary("-", x)
        case Unary("-", x), Unary("-", y):
            return Binary("*", x, y)
        case (Number(c), Unary("-", x)) | (Unary("-", x), Number(c)):
            return Binary("*", Number(-c), x)
    return node


def _quotient(node: Binary, box: Box) -> Expression:
    match node.left, node.right:
        case x, Number(1.0):
            return x
        case x, Number(-1.0):
            return Unary("-", x)
        case Unary("-", x), Number(c) if abs(c) >= EPS:
            return Binary("/", x, Number(-c))
        case x, y if x == y:
            divisor = bounds(y, box)  # x / x is 1 where the divisor is not guarded
            return Number(1.0) if divisor.low >= EPS or divisor.high <= -EPS else node
    return node


def _smaller(node: Binary, box: Box) -> Expression:
    left, right = bounds(node.left, box), bounds(node.right, box)
    if node.left == node.right or left.high <= right.low:
        return node.left
    return node.right if right.high <= left.low else _limit_once(node)


def _larger(node: Binary, box: Box) -> Expression:
    left, right = bounds(node.left, box), bounds(node.right, box)
    if node.left == node.right or left.low >= right.high:
        return node.left
    return node.right if right.low >= left.high else _limit_once(node)


def _limit_once(node: Binary) -> Expression:
    """Return min(min(x, 1), 2) as min(x, 1); likewise max, constants on any side."""
    match _with_constant(node):
        case c, Binary(kind) as inner if kind == node.kind:
            match _with_constant(inner):
                case d, x:
                    return Binary(kind, x, Number(BINARY[kind](c, d)))
    return node


def _with_constant(node: Binary) -> tuple[float, Expression] | None:
    match node.left, node.right:
        case (Number(c), x) | (x, Number(c)):
            return c, x
    return None


_OF_UNARY = {"-": _negative, "abs": _absolute}
_OF_BINARY = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "min": _smaller,
    "max": _larger,
}
