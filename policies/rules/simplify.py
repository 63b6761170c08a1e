"""Smaller rules with the same results: constants folded, idle parts and dead branches left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from policies.rules.identities import smaller_form
from policies.rules.intervals import Box, bounds, decided, narrowed
from policies.rules.merge import merged
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Comparison, Expression, If, Number, Unary


def simplify(rule: Rule, exact: bool = True) -> Rule:
    """Return an equivalent rule of at most as many nodes and operations, on every path.

    Simplifying its result again changes nothing.

    Args:
        rule: the rule.
        exact: whether every result must stay the same to the bit. If not, constants that meet in
            sums and in products are merged as well; `merge` says what rounding that changes.
    """
    work = _Work(rule, rule.box, exact)
    body = rule.body
    while True:
        smaller = work.at_the_end(work.reduced(body, rule.box))
        if smaller.size >= body.size:
            return replace(rule, body=body)
        body = smaller


@dataclass(frozen=True)
class _Work:
    """One pass over a rule's body."""

    rule: Rule
    box: Box
    exact: bool

    def reduced(self, node: Expression, here: Box) -> Expression:
        """Return an equal expression, given that the inputs lie in `here` where it is evaluated.

        What `here` says beyond the declared bounds only decides branches. To leave out a `min`
        for it would be as right, but then the bounds of what remains could exceed the limit.
        """
        match node:
            case Unary(kind, operand):
                return smaller_form(Unary(kind, self.reduced(operand, here)), self.box)
            case Binary(kind, left, right):
                parts = self.reduced(left, here), self.reduced(right, here)
                found = smaller_form(Binary(kind, *parts), self.box)
                return found if self.exact else merged(found, self.box)
            case If(test, then, otherwise):
                parts = self.reduced(test.left, here), self.reduced(test.right, here)
                condition = Comparison(test.kind, *parts)
                outcome = decided(condition, here)
                if outcome is not None:
                    return self.reduced(then if outcome else otherwise, here)
                then = self.reduced(then, narrowed(here, condition, True))
                otherwise = self.reduced(otherwise, narrowed(here, condition, False))
                return then if then == otherwise else If(condition, then, otherwise)
            case _:
                return node

    def at_the_end(self, node: Expression) -> Expression:
        """Return what gives the same action where `node`'s value is clamped and given out."""
        rule = self.rule
        match node:
            case If(condition, then, otherwise):
                then, otherwise = self.at_the_end(then), self.at_the_end(otherwise)
                return then if then == otherwise else If(condition, then, otherwise)
            case Binary("max", Number(c), x) | Binary("max", x, Number(c)) if c <= rule.low:
                return self.at_the_end(x)
            case Binary("min", Number(c), x) | Binary("min", x, Number(c)) if c >= rule.high:
                return self.at_the_end(x)
            case Number():
                return node
        known = bounds(node, self.box)
        if known.low >= rule.high:
            return Number(rule.high)
        return Number(rule.low) if known.high <= rule.low else node
