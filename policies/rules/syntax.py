"""What the text of a rule is read into: expressions as frozen values that know their size.

An expression that nests too deeply, names no known operation or holds no finite number cannot be
made, so whatever walks over expressions may recurse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from policies.registry import nearest

MOST_DEPTH = 32
"""Levels of an expression; also the most stack slots that evaluating one takes."""
MOST_NODES = 2000
"""Operations, comparisons, branches, numbers and inputs of a rule."""
MOST_NAME = 32
"""Characters of a name."""
LIMIT = 1e100
"""No value inside a rule may exceed this in magnitude, whatever its inputs."""

FUNCTIONS = {"min": 2, "max": 2, "abs": 1, "sqrt": 1, "tanh": 1, "exp": 1, "log": 1}
"""Function -> how many arguments it takes."""
UNARY = ("-", *(name for name, count in FUNCTIONS.items() if count == 1))
BINARY = ("+", "-", "*", "/", *(name for name, count in FUNCTIONS.items() if count == 2))
COMPARISONS = ("<", "<=", ">", ">=")
RESERVED = (*FUNCTIONS, "if", "then", "else", "name", "action", "input")
"""Words that no input and no rule may be called."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RuleError(ValueError):
    """A rule, or the text of one, that is refused; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if not math.isfinite(self.value):
            raise RuleError(f"{self.value} is not finite; numbers of a rule must be")
        _measure(self)


@dataclass(frozen=True, slots=True)
class Variable:
    """An input by its name; its value is the input's, clamped to its declared bounds."""

    name: str
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name, "input")
        _measure(self)


@dataclass(frozen=True, slots=True)
class Unary:
    """An operation of `UNARY`."""

    kind: str
    operand: Expression
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_kind(self.kind, UNARY)
        _measure(self, self.operand)


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation of `BINARY`."""

    kind: str
    left: Expression
    right: Expression
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_kind(self.kind, BINARY)
        _measure(self, self.left, self.right)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The condition of an `If`, of `COMPARISONS`."""

    kind: str
    left: Expression
    right: Expression
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_kind(self.kind, COMPARISONS)
        _measure(self, self.left, self.right)


@dataclass(frozen=True, slots=True)
class If:
    """The value of `then` where the condition holds, else that of `otherwise`."""

    condition: Comparison
    then: Expression
    otherwise: Expression
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, self.condition, self.then, self.otherwise)


Expression: TypeAlias = Number | Variable | Unary | Binary | If
Node: TypeAlias = Expression | Comparison


@dataclass(frozen=True, slots=True)
class Input:
    """What a rule reads: a name, and the bounds that its value is clamped to."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        check_name(self.name, "input")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        check_bounds(self.low, self.high, f"input {self.name}")


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below `node`, in the order of the text."""
    match node:
        case Unary():
            return (node.operand,)
        case Binary() | Comparison():
            return (node.left, node.right)
        case If():
            return (node.condition, node.then, node.otherwise)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and all nodes below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def check_name(name: str, what: str) -> None:
    """Check that `name` may be the name of a rule or an input.

    Raises:
        RuleError: it is reserved, too long, or not letters, digits and underscores.
    """
    if name in RESERVED:
        raise RuleError(f"{shown(name)} is a word of the language; choose another {what} name")
    if len(name) > MOST_NAME or not _NAME.fullmatch(name):
        raise RuleError(
            f"{what} name {shown(name)} must be at most {MOST_NAME} letters, digits and "
            "underscores, and begin with no digit"
        )


def check_bounds(low: float, high: float, what: str) -> None:
    """Check that [low, high] may bound `what`.

    Raises:
        RuleError: the bounds are not finite, too large, or not in order.
    """
    if not (-LIMIT <= low < high <= LIMIT):
        raise RuleError(
            f"bounds [{low!r}, {high!r}] of {what}: the first must be the smaller one, and both "
            f"within {LIMIT:g} of zero"
        )


def shown(text: str, most: int = 40) -> str:
    """Return `text` quoted, on one line, in ASCII, and cut short."""
    return ascii(text if len(text) <= most else f"{text[:most]}...")


def hint(name: str, allowed: tuple[str, ...]) -> str:
    """Return `; did you mean ...?` with what in `allowed` looks most like `name`, or nothing."""
    near = nearest(name, allowed)
    return f"; did you mean {near!r}?" if near else ""


def _check_kind(kind: str, allowed: tuple[str, ...]) -> None:
    if kind not in allowed:
        known = ", ".join(allowed)
        raise RuleError(f"unknown operation {shown(kind)}{hint(kind, allowed)} (known: {known})")


def _measure(node: Node, *below: Node) -> None:
    """Set `depth` and `size`, of which each node knows its own."""
    depth = 1 + max((child.depth for child in below), default=0)
    if depth > MOST_DEPTH:
        raise RuleError(
            f"the expression nests deeper than {MOST_DEPTH} levels; "
            "balance long sums with parentheses, or split the rule"
        )
    object.__setattr__(node, "depth", depth)
    object.__setattr__(node, "size", 1 + sum(child.size for child in below))
