"""From a rule's expressions to integer terms."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from policies.rules.fixed import demand, elementary_terms, operations
from policies.rules.fixed.formats import Format
from policies.rules.fixed.operations import Tolerance, comparable
from policies.rules.fixed.terms import BITS, LossError, Term, aligned, fitted, number
from policies.rules.intervals import Box, bounds
from policies.rules.rule import Rule
from policies.rules.syntax import (
    Binary,
    Comparison,
    Expression,
    If,
    Number,
    RuleError,
    Unary,
    Variable,
)
from policies.rules.write import condition_text, expression_text

Terms = Mapping[str, Term]
"""Name of an input -> its term, bounded by what the branches on the way say of it."""

_Below = Callable[[Expression, Terms, float], Term]

_UNARY = {
    "-": operations.negative,
    "abs": operations.absolute,
    "sqrt": elementary_terms.root,
    "tanh": elementary_terms.tanh,
    "log": elementary_terms.log,
}


@dataclass(frozen=True)
class Lowering:
    """One rule on its way to terms.

    Attributes:
        rule: the rule, simplified.
        action: the format of its action.
        tolerance: what errors need no care.
        margins: comparison -> how near its sides may come before the outcome is open.
        divisors: divisor that may change sign -> how near it may come to zero.
    """

    rule: Rule
    action: Format
    tolerance: Tolerance
    margins: dict[Comparison, float] = field(default_factory=dict)
    divisors: dict[Expression, float] = field(default_factory=dict)

    def result(self, node: Expression, known: Terms, cap: float) -> Term:
        """Return the action: each formula at the end of its branches in the action's format.

        Args:
            node: what is left of the rule's body.
            known: the inputs.
            cap: above which values are alike, see `demand`.

        Raises:
            RuleError: a part has no safe format; the message names it and says why.
        """
        if isinstance(node, If):
            return self._branch(node, known, cap, self.result)
        term = self.value(node, known, cap)
        with _naming(expression_text(node)):
            term = fitted(term, self.action.fraction, self.rule.low, self.rule.high)
        return replace(term, note=expression_text(node))

    def value(self, node: Expression, known: Terms, cap: float) -> Term:
        """Return an expression as a term; arguments and RuleError as `result`."""
        match node:
            case Number(value):
                return number(value)
            case Variable(name):
                return known[name]
            case Unary(kind, operand):
                x = self.value(operand, known, demand.of_operand(node, cap))
                with _naming(expression_text(node)):
                    if kind == "exp":
                        return elementary_terms.exp(x, demand.exp_limit(cap))
                    return _UNARY[kind](x)
            case Binary(kind, left, right):
                caps = demand.of_operands(node, cap, self.rule.box, self.tolerance.negligible)
                a, b = self.value(left, known, caps[0]), self.value(right, known, caps[1])
                with _naming(expression_text(node)):
                    capped = caps[1] < bounds(right, self.rule.box).high
                    return self._binary(kind, right, a, b, capped)
            case If():
                return self._branch(node, known, cap, self.value)

    def _binary(self, kind: str, right: Expression, a: Term, b: Term, capped: bool) -> Term:
        tolerance = self.tolerance
        match kind:
            case "+":
                return operations.plus(a, b, 1, tolerance)
            case "-":
                return operations.plus(a, b, -1, tolerance)
            case "*":
                return operations.product(a, b, tolerance)
            case "/":
                found = operations.quotient(a, b, tolerance)
                if b.kind == "number":
                    return found
                self._note_divisor(right, found.args[1])
                more = tolerance.negligible if capped else 0.0
                return replace(found, error=found.error + more)
            case _:
                return operations.extreme(a, b, kind, tolerance)

    def _note_margin(self, condition: Comparison, margin: float) -> None:
        """Note how near the sides of a comparison may come; anything if caps may have moved one."""
        box = self.rule.box
        sides = bounds(condition.left, box), bounds(condition.right, box)
        margin = margin if margin < min(map(demand.gap, sides)) else math.inf
        self.margins[condition] = max(margin, self.margins.get(condition, 0.0))

    def _note_divisor(self, node: Expression, term: Term) -> None:
        """Note how near to zero a divisor may change sign; `term` is what is divided by."""
        if _may_change_sign(node, term, self.rule.box):
            self.divisors[node] = max(term.worst, self.divisors.get(node, 0.0))

    def _branch(self, node: If, known: Terms, cap: float, below: _Below) -> Term:
        condition = node.condition
        caps = demand.of_sides(condition, self.rule.box)
        left = self.value(condition.left, known, caps[0])
        right = self.value(condition.right, known, caps[1])
        with _naming(text := condition_text(condition)):
            left, right = comparable(left, right, condition.kind, self.tolerance)
        self._note_margin(condition, left.worst + right.worst)
        then = below(node.then, narrowed(known, condition, left, right, True), cap)
        otherwise = below(node.otherwise, narrowed(known, condition, left, right, False), cap)
        with _naming(expression_text(node)):
            then, otherwise = aligned(then, otherwise, BITS - 1, self.tolerance.harmless)
        return Term(
            condition.kind,
            (left, right, then, otherwise),
            (),
            then.fraction,
            min(then.low, otherwise.low),
            max(then.high, otherwise.high),
            max(then.error, otherwise.error),
            max(then.relative, otherwise.relative),
            f"if {text}",
        )


def narrowed(
    known: Terms, condition: Comparison, left: Term, right: Term, holds: bool
) -> dict[str, Term]:
    """Return the inputs where a comparison of two terms of one format holds, or fails.

    Only inputs that stand alone on a side are narrowed, by what the integers compared say.
    """
    sides = [(condition.left, left), (condition.right, right)]
    if (condition.kind in (">", ">=")) == holds:  # now the first is the lesser
        sides.reverse()
    (lesser, a), (greater, b) = sides
    strict = int((condition.kind in ("<", ">")) == holds)
    found = dict(known)
    if isinstance(lesser, Variable) and (shift := a.fraction - known[lesser.name].fraction) >= 0:
        own = known[lesser.name]
        high = min(own.high, (b.high - strict) >> shift)
        if own.low <= high:
            found[lesser.name] = replace(own, high=high)
    if isinstance(greater, Variable) and (shift := b.fraction - known[greater.name].fraction) >= 0:
        own = known[greater.name]
        low = max(own.low, -(-(a.low + strict) >> shift))
        if low <= own.high:
            found[greater.name] = replace(own, low=low)
    return found


def _may_change_sign(node: Expression, term: Term, box: Box) -> bool:
    """Return whether a divisor may be below zero in one arithmetic and not in the other."""
    real = bounds(node, box)
    above = real.low >= 0.0 and term.low >= 0
    below = real.high < 0.0 and term.high < 0
    return not (above or below)


@contextlib.contextmanager
def _naming(text: str) -> Iterator[None]:
    """Refuse the rule where a part, whose text is given, has no format."""
    try:
        yield
    except LossError as error:
        text = text if len(text) <= 80 else f"{text[:80]}..."
        raise RuleError(f"`{text}` {error}") from None
