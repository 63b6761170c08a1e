"""Equations as PySR prints them, read into sums.

    equation = sum (("<" | "<=" | ">" | ">=") sum)?       1 where it holds, else 0
    sum      = product (("+" | "-") product)*
    product  = factor (("*" | "/") factor)*
    factor   = "-" factor | atom ("^" factor)?
    atom     = NUMBER | VARIABLE | FUNCTION "(" equation ("," equation)* ")" | "(" equation ")"

Nothing is evaluated but numbers and the names that are known. The reader takes any text: it returns
a sum or raises `RuleError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn

from policies.distill import sums
from policies.distill.sums import Sum, chosen, power, unary
from policies.rules.syntax import COMPARISONS, Comparison, If, Number, RuleError, shown

MOST_TEXT = 10_000
MOST_NESTING = 60

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=|>=|[-+*/^(),<>])"
)


def holds(kind: str, x: Sum, y: Sum) -> Sum:
    """Return 1 where a comparison holds, else 0."""
    test = Comparison(kind, x.expression(), y.expression())
    return Sum(0.0, {If(test, Number(1.0), Number(0.0)): 1.0})


def raised(x: Sum, exponent: Sum) -> Sum:
    """Return a power whose exponent is one of -1, 0.5, 1, 2 and 3.

    Raises:
        RuleError: it is another one, or not a constant.
    """
    if not exponent.weights:
        if exponent.offset in (2.0, 3.0):
            return power(x, int(exponent.offset))
        if exponent.offset == 1.0:
            return x
        if exponent.offset == 0.5:
            return unary("sqrt", x)
        if exponent.offset == -1.0:
            return inverse(x)
    raise RuleError("a power other than -1, 0.5, 1, 2 and 3; rules have none")


def inverse(x: Sum) -> Sum:
    """Return 1 / x."""
    return Sum(1.0).over(x)


def negative(x: Sum) -> Sum:
    """Return -x."""
    return x.scaled(-1.0)


def relu(x: Sum) -> Sum:
    """Return max(x, 0)."""
    return chosen("max", x, Sum())


def sign(x: Sum) -> Sum:
    """Return 1 above zero, -1 below it, else 0."""
    return holds(">", x, Sum()).plus(holds("<", x, Sum()), -1.0)


def where_positive(x: Sum, y: Sum) -> Sum:
    """Return y where x is above zero, else 0."""
    return holds(">", x, Sum()).times(y)


BINARY: dict[str, Callable[[Sum, Sum], Sum]] = {
    **sums.BINARY,
    "^": raised,
    "pow": raised,
    "greater": partial(holds, ">"),
    "cond": where_positive,
}
"""PySR's operators and functions of two arguments that rules can have."""
UNARY: dict[str, Callable[[Sum], Sum]] = {
    **{kind: partial(unary, kind) for kind in ("abs", "exp", "log", "sqrt", "tanh")},
    "square": partial(power, exponent=2),
    "cube": partial(power, exponent=3),
    "inv": inverse,
    "neg": negative,
    "relu": relu,
    "sign": sign,
}
"""PySR's functions of one argument that rules can have."""


def sum_of_equation(text: str, variables: Mapping[str, Sum]) -> Sum:
    """Return what an equation says.

    Args:
        text: the equation.
        variables: name -> what it stands for.

    Raises:
        RuleError: it cannot be read, or rules cannot have it; the message says what.
    """
    if len(text) > MOST_TEXT:
        raise RuleError(f"equation of {len(text)} characters; at most {MOST_TEXT} are read")
    return _Reader(text, variables).whole()


class _Reader:
    """Recursive descent over the tokens of an equation."""

    def __init__(self, text: str, variables: Mapping[str, Sum]) -> None:
        self.text, self.variables = text, variables
        self.tokens = self.split()
        self.at = self.nesting = 0

    def split(self) -> list[tuple[str, str]]:
        """Return (kind, text) of every token, an empty one last."""
        found, at = [], 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                self.fail(f"{shown(self.text[at])} has no meaning")
            if match.lastgroup != "space":
                found.append((str(match.lastgroup), match.group()))
            at = match.end()
        return [*found, ("end", "")]

    def fail(self, problem: str) -> NoReturn:
        raise RuleError(f"equation {shown(self.text, 80)}: {problem}")

    def take(self, *texts: str) -> str:
        """Return the next token if it is one of these signs, and pass it; else nothing."""
        kind, text = self.tokens[self.at]
        if kind != "sign" or text not in texts:
            return ""
        self.at += 1
        return text

    def whole(self) -> Sum:
        found = self.equation()
        if self.tokens[self.at][0] != "end":
            self.fail(f"{shown(self.tokens[self.at][1])} is out of place")
        return found

    def deeper(self) -> None:
        self.nesting += 1
        if self.nesting > MOST_NESTING:
            self.fail(f"nests deeper than {MOST_NESTING} levels")

    def equation(self) -> Sum:
        self.deeper()
        found = self.sum()
        if kind := self.take(*COMPARISONS):
            found = holds(kind, found, self.sum())
        self.nesting -= 1
        return found

    def sum(self) -> Sum:
        found = self.product()
        while kind := self.take("+", "-"):
            found = BINARY[kind](found, self.product())
        return found

    def product(self) -> Sum:
        found = self.factor()
        while kind := self.take("*", "/"):
            found = BINARY[kind](found, self.factor())
        return found

    def factor(self) -> Sum:
        sign = 1.0
        while self.take("-"):
            sign = -sign
        found = self.atom()
        if self.take("^"):
            self.deeper()
            found = raised(found, self.factor())
            self.nesting -= 1
        return found.scaled(sign)

    def atom(self) -> Sum:
        if self.take("("):
            return self.closed(self.equation())
        kind, text = self.tokens[self.at]
        if kind not in ("number", "word"):
            self.fail(f"a value is missing before {shown(text)}" if text else "it ends too early")
        self.at += 1
        if kind == "number":
            return Sum(float(text))
        if self.take("("):
            return self.called(text)
        if text not in self.variables:
            self.fail(f"unknown variable {shown(text)}")
        return self.variables[text]

    def called(self, name: str) -> Sum:
        arguments = [self.equation()]
        while self.take(","):
            arguments.append(self.equation())
        self.closed(arguments[0])
        if name in UNARY and len(arguments) == 1:
            return UNARY[name](arguments[0])
        if name in BINARY and len(arguments) == 2:
            return BINARY[name](*arguments)
        self.fail(f"rules have no function {shown(name)} of {len(arguments)} arguments")

    def closed(self, inside: Sum) -> Sum:
        if not self.take(")"):
            self.fail("a parenthesis is not closed")
        return inside
