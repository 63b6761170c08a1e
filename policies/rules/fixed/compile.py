"""A rule compiled to integers, or refused.

The promise: with inputs rounded to their formats (`formats.quantised`; cutting off does as well),
the action differs from the rule's in float64 by at most `FixedRule.bound`, unless a comparison that
is made is nearer to equality than its margin, or a divisor that may change sign nearer to zero
(`compare.near_boundary` says which inputs these are).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies.rules.fixed.formats import Format, format_of, format_of_input
from policies.rules.fixed.lower import Lowering
from policies.rules.fixed.operations import Tolerance
from policies.rules.fixed.terms import Term, quantum
from policies.rules.rule import Rule
from policies.rules.simplify import simplify
from policies.rules.syntax import Comparison, Expression, RuleError

HARMLESS, NEGLIGIBLE, SMALL = 2.0**-40, 2.0**-32, 2.0**-24
"""Shares of the action's range, see `Tolerance`."""
MOST_INSTRUCTIONS = 24_000
"""Jumps of BPF reach 32,767 instructions; the rest is for the program around the rule."""
MOST_ON_A_PATH = 6_000
"""Up to here, or 150 operations and more, what clang keeps on the stack stayed within 350 bytes of
the 512 that all programs on a call's way share."""
INSTRUCTIONS = {
    "input": 18,
    "number": 2,
    "add": 1,
    "subtract": 1,
    "multiply": 2,
    "scale": 1,
    "shift": 3,
    "negative": 1,
    "abs": 4,
    "min": 6,
    "max": 6,
    "clamp": 10,
    "wide": 44,
    "divide": 28,
    "exp": 70,
    "tanh": 95,
    "log": 115,
    "root": 40,
    "<": 2,
    "<=": 2,
    ">": 2,
    ">=": 2,
}
"""Kind of term -> BPF instructions, as clang makes them; rounded up."""


@dataclass(frozen=True)
class FixedRule:
    """A rule in integers.

    Attributes:
        rule: the rule, simplified (with the same results).
        inputs: formats, in the order of the rule's inputs.
        action: format of the result.
        body: what is computed.
        bound: most that the action differs from that of float64, see the module.
        margins: comparison -> distance of its sides at which its outcome is open.
        divisors: divisor -> distance from zero at which its sign is open.
    """

    rule: Rule
    inputs: tuple[Format, ...]
    action: Format
    body: Term
    bound: float
    margins: Mapping[Comparison, float]
    divisors: Mapping[Expression, float]


def compile_fixed(rule: Rule) -> FixedRule:
    """Return a rule in integers of 64 bits that cannot overflow.

    Raises:
        RuleError: a part of it has no format that keeps enough of it, bounds are nearer than two
            values of a format, or it is too large for a kernel; the message names the part.
    """
    rule = simplify(rule)
    action = format_of("action", rule.low, rule.high)
    inputs = tuple(format_of_input(given) for given in rule.inputs)
    known = {
        form.name: Term(
            "input", (), (place,), form.fraction, form.low, form.high, quantum(form.fraction)
        )
        for place, form in enumerate(inputs)
    }
    width = rule.high - rule.low
    tolerance = Tolerance(HARMLESS * width, NEGLIGIBLE * width, SMALL * width)
    lowering = Lowering(rule, action, tolerance)
    body = lowering.result(rule.body, known, rule.high)
    _check_size(rule.name, body)
    bound = min(body.worst + quantum(action.fraction), width)
    return FixedRule(rule, inputs, action, body, bound, lowering.margins, lowering.divisors)


def instructions(term: Term) -> int:
    """Return how many instructions of BPF a term takes at most, both branches counted."""
    return INSTRUCTIONS[term.kind] + sum(map(instructions, term.args))


def on_a_path(term: Term) -> int:
    """Return how many instructions of BPF a term takes on the costliest way through branches."""
    args = [on_a_path(arg) for arg in term.args]
    if len(args) == 4:  # a comparison, and what is computed where it holds and where it fails
        args = [*args[:2], max(args[2:])]
    return INSTRUCTIONS[term.kind] + sum(args)


def _check_size(name: str, body: Term) -> None:
    for count, most, where in (
        (instructions(body), MOST_INSTRUCTIONS, "in a kernel"),
        (on_a_path(body), MOST_ON_A_PATH, "in a kernel on the costliest path"),
    ):
        if count > most:
            raise RuleError(
                f"rule {name}: about {count} instructions {where}, more than {most}; "
                "use fewer operations, above all sqrt, log, tanh and exp, or branches"
            )
