"""Merging constants that meet: fewer operations, at the price of a changed rounding.

- c (d x), (d x) / c and the like become one product with one constant. The result differs by at
  most 2**-50 of its magnitude.
- c + (d + x), c - (d - x) and the like become one sum with one constant. The result differs by at
  most 2**-49 of the largest magnitude among c, d and x. Where c and d cancel, the merged form is
  the more precise one.

A rule with several of these, or with a jump (a branch, a small divisor) behind them, may amplify
the difference; who needs the same bits keeps to the exact simplification.
"""

from __future__ import annotations

from policies.rules.elementary import EPS
from policies.rules.intervals import Box, bounds
from policies.rules.syntax import LIMIT, Binary, Expression, Number

_LEAST, _MOST = 1e-90, 1e90
"""Magnitudes of merged constants: factors must not underflow, and nothing come near the limit."""


def merged(node: Expression, box: Box) -> Expression:
    """Return `node` with two of its constants merged if they meet, else `node` itself."""
    if not isinstance(node, Binary):
        return node
    known = bounds(node, box)
    if max(-known.low, known.high) > LIMIT / 10.0:  # a changed rounding must not cross the limit
        return node
    return _merged_product(node) if node.kind in ("*", "/") else _merged_sum(node)


def _merged_product(node: Binary) -> Expression:
    outer, inner = None, None
    match node:
        case Binary("*", Number(c), x) | Binary("*", x, Number(c)):
            outer, inner = c, _scaled(x)
        case Binary("/", x, Number(c)) if abs(c) >= EPS:
            outer, inner = 1.0 / c, _scaled(x)
    if outer is None or inner is None:
        return node
    factor = outer * inner[0]
    return Binary("*", Number(factor), inner[1]) if _LEAST <= abs(factor) <= _MOST else node


def _scaled(node: Expression) -> tuple[float, Expression] | None:
    """Return (c, x) if the expression is c times x."""
    match node:
        case Binary("*", Number(c), x) | Binary("*", x, Number(c)):
            return c, x
        case Binary("/", x, Number(c)) if abs(c) >= EPS:
            return 1.0 / c, x
    return None


def _merged_sum(node: Binary) -> Expression:
    outer = _shifted(node)
    inner = _shifted(outer[2]) if outer else None
    if outer is None or inner is None:
        return node
    (c, sign, _), (d, inner_sign, x) = outer, inner
    total = c + sign * d
    if abs(total) > _MOST:
        return node
    return Binary("+" if sign == inner_sign else "-", Number(total), x)


def _shifted(node: Expression) -> tuple[float, float, Expression] | None:
    """Return (c, sign, x) if the expression is c + sign * x."""
    match node:
        case Binary("+", Number(c), x) | Binary("+", x, Number(c)):
            return c, 1.0, x
        case Binary("-", x, Number(c)):
            return -c, 1.0, x
        case Binary("-", Number(c), x):
            return c, -1.0, x
    return None
