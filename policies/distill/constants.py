"""The numbers in an expression as a vector: taken out, put back, written with few digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.rules.syntax import (
    Binary,
    Comparison,
    Expression,
    If,
    Number,
    Unary,
    Variable,
)


def constants(node: Expression, thresholds: bool = True) -> list[float]:
    """Return the numbers of an expression in the order of its text.

    Args:
        node: the expression.
        thresholds: whether numbers inside comparisons count, too.
    """
    return list(_taken(node, thresholds))


def with_constants(
    node: Expression, values: Sequence[float], thresholds: bool = True
) -> Expression:
    """Return the expression with other numbers, in the order of `constants`.

    Raises:
        ValueError: there are more or fewer values than numbers.
        RuleError: a value is not finite.
    """
    source = iter(values)
    try:
        found = _put(node, source, thresholds)
    except StopIteration:
        raise ValueError(f"{len(values)} values for more numbers than that") from None
    left = sum(1 for _ in source)
    if left:
        raise ValueError(f"{len(values)} values for {len(values) - left} numbers")
    return found


def rounded(value: float, digits: int) -> float:
    """Return the decimal of `digits` significant digits that is nearest to a value."""
    return float(f"{value:.{digits - 1}e}")


def with_digits(node: Expression, digits: int) -> Expression:
    """Return the expression with every number rounded to `digits` significant digits."""
    return with_constants(node, [rounded(value, digits) for value in constants(node)])


def _taken(node: Expression, thresholds: bool) -> Iterator[float]:
    match node:
        case Number(value):
            yield value
        case Variable():
            return
        case Unary(_, operand):
            yield from _taken(operand, thresholds)
        case Binary(_, left, right):
            yield from _taken(left, thresholds)
            yield from _taken(right, thresholds)
        case If(condition, then, otherwise):
            if thresholds:
                yield from _taken(condition.left, thresholds)
                yield from _taken(condition.right, thresholds)
            yield from _taken(then, thresholds)
            yield from _taken(otherwise, thresholds)


def _put(node: Expression, source: Iterator[float], thresholds: bool) -> Expression:
    match node:
        case Number():
            return Number(next(source))
        case Variable():
            return node
        case Unary(kind, operand):
            return Unary(kind, _put(operand, source, thresholds))
        case Binary(kind, left, right):
            first = _put(left, source, thresholds)
            return Binary(kind, first, _put(right, source, thresholds))
        case If(condition, then, otherwise):
            if thresholds:
                left = _put(condition.left, source, thresholds)
                right = _put(condition.right, source, thresholds)
                condition = Comparison(condition.kind, left, right)
            first = _put(then, source, thresholds)
            return If(condition, first, _put(otherwise, source, thresholds))
