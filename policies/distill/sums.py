"""Weighted sums of expressions: what a regression's model is rewritten in, to save operations.

A regression puts a weight on every input, standardises inputs and scales its result; written as it
stands, each of these costs an operation. A `Sum` keeps weights apart from what they weigh: sums of
sums are sums, equal parts add up, constants meet, and weights move out of products and quotients.

Values stay what they were but for rounding, and but for where a guard acts: as a weight moves out
of a divisor, the divisor comes near zero at other inputs. Wherever a number would not be finite the
finished expression cannot be made: `RuleError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from policies.rules import elementary
from policies.rules.count import worst_path
from policies.rules.elementary import EPS
from policies.rules.syntax import Binary, Expression, If, Number, RuleError, Unary, Variable

CHEAP = 2
"""Operations of an expression that may be written more than once, for its square or cube."""


@dataclass(frozen=True, eq=False)
class Sum:
    """The value offset + sum of weight * part.

    Attributes:
        offset: the constant; all there is without parts.
        weights: part -> its weight, never zero.
    """

    offset: float = 0.0
    weights: Mapping[Expression, float] = field(default_factory=dict)

    def plus(self, other: Sum, sign: float = 1.0) -> Sum:
        """Return self + sign * other."""
        weights = dict(self.weights)
        for part, weight in other.weights.items():
            weights[part] = weights.get(part, 0.0) + sign * weight
        return _without_zeros(self.offset + sign * other.offset, weights)

    def scaled(self, factor: float) -> Sum:
        """Return factor * self."""
        weights = {part: factor * weight for part, weight in self.weights.items()}
        return _without_zeros(factor * self.offset, weights)

    def divided(self, divisor: float) -> Sum:
        """Return self / divisor.

        Raises:
            RuleError: the divisor is zero.
        """
        if divisor == 0.0:
            raise RuleError("a division by zero")
        weights = {part: weight / divisor for part, weight in self.weights.items()}
        return _without_zeros(self.offset / divisor, weights)

    def times(self, other: Sum) -> Sum:
        """Return self * other."""
        if not self.weights:
            return other.scaled(self.offset)
        if not other.weights:
            return self.scaled(other.offset)
        (own, left), (its, right) = self.factored(), other.factored()
        return _without_zeros(0.0, {Binary("*", left, right): own * its})

    def over(self, other: Sum) -> Sum:
        """Return self / other.

        Raises:
            RuleError: the divisor is a constant that the language's guard would replace.
        """
        if not other.weights:
            if abs(other.offset) < EPS:
                raise RuleError(f"a division by {other.offset:g}, which is guarded")
            return self.divided(other.offset)
        its, divisor = other.factored()
        if not self.weights:
            return _without_zeros(0.0, {Binary("/", Number(1.0), divisor): self.offset / its})
        own, dividend = self.factored()
        return _without_zeros(0.0, {Binary("/", dividend, divisor): own / its})

    def factored(self) -> tuple[float, Expression]:
        """Return (w, x) with w * x = self, for the fewest operations. There must be parts."""
        if self.offset == 0.0 and len(self.weights) == 1:
            part, weight = next(iter(self.weights.items()))
            return weight, part
        sizes = [abs(weight) for weight in self.weights.values()]
        size = min(sizes, key=lambda s: ((s != 1.0) - sizes.count(s), -s))
        gains = self.offset > 0.0 or any(weight > 0.0 for weight in self.weights.values())
        factor = size if gains else -size
        return factor, self.divided(factor).expression()

    def expression(self) -> Expression:
        """Return it written out: what is added, balanced, less what is subtracted.

        Raises:
            RuleError: a number is not finite, or it nests too deeply.
        """
        # NaN is no loss, so that it ends up in a Number, which refuses it
        gains = [_weighted(w, part) for part, w in self.weights.items() if not w < 0.0]
        losses = [(-w, part) for part, w in self.weights.items() if w < 0.0]
        if not gains and self.offset == 0.0 and losses:  # a number's own sign costs nothing
            first = next((n for n, (w, _) in enumerate(losses) if w != 1.0), 0)
            weight, part = losses.pop(first)
            gains.append(_weighted(-weight, part))
        less = [_weighted(w, part) for w, part in losses]
        if self.offset < 0.0 and gains:
            less.append(Number(-self.offset))
        elif self.offset != 0.0 or not gains:
            gains.append(Number(self.offset + 0.0))
        result = _balanced(gains)
        return Binary("-", result, _balanced(less)) if less else result


def variable(name: str) -> Sum:
    """Return an input."""
    return Sum(0.0, {Variable(name): 1.0})


def unary(kind: str, x: Sum) -> Sum:
    """Return a function of the language of one argument."""
    if not x.weights:
        return Sum(elementary.UNARY[kind](x.offset))
    if kind == "abs":
        weight, part = x.factored()
        return Sum(0.0, {Unary("abs", part): abs(weight)})
    return Sum(0.0, {Unary(kind, x.expression()): 1.0})


def chosen(kind: str, x: Sum, y: Sum) -> Sum:
    """Return `min` or `max` of two."""
    if not x.weights and not y.weights:
        return Sum(elementary.BINARY[kind](x.offset, y.offset))
    return Sum(0.0, {Binary(kind, x.expression(), y.expression()): 1.0})


def power(x: Sum, exponent: int) -> Sum:
    """Return the square or the cube of what is cheap enough to be written repeatedly.

    Raises:
        RuleError: it is not.
    """
    if x.weights and worst_path(x.factored()[1]) > CHEAP:
        raise RuleError(f"a power of an expression of more than {CHEAP} operations")
    result = x
    for _ in range(exponent - 1):
        result = result.times(x)
    return result


BINARY: dict[str, Callable[[Sum, Sum], Sum]] = {
    "+": Sum.plus,
    "-": lambda x, y: x.plus(y, -1.0),
    "*": Sum.times,
    "/": Sum.over,
    "min": lambda x, y: chosen("min", x, y),
    "max": lambda x, y: chosen("max", x, y),
}
"""Operation of the language -> what it gives of two sums."""


def _without_zeros(offset: float, weights: Mapping[Expression, float]) -> Sum:
    return Sum(offset, {part: weight for part, weight in weights.items() if weight != 0.0})


def _weighted(weight: float, part: Expression) -> Expression:
    """Return weight * part; a weight joins the constants that it meets."""
    if weight == 1.0:
        return part
    match part:
        case Binary("/", Number(value), divisor):
            return Binary("/", Number(weight * value), divisor)
        case If(condition, Number(then), Number(otherwise)):
            return If(condition, Number(weight * then), Number(weight * otherwise))
    return Unary("-", part) if weight == -1.0 else Binary("*", Number(weight), part)


def _balanced(terms: list[Expression]) -> Expression:
    """Return the sum of terms, in their order, as deep as it has to be."""
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    return Binary("+", _balanced(terms[:half]), _balanced(terms[half:]))
