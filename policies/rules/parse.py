"""Text to rules. Grammar (space, line ends and `# comments` separate; words are case-sensitive).

    file       = "triptych-rule 1" line-end head expression
    head       = "name" NAME "action" bounds ("input" NAME bounds)+
    bounds     = "[" number "," number "]"
    expression = "if" condition "then" expression "else" expression | sum
    condition  = sum ("<" | "<=" | ">" | ">=") sum
    sum        = product (("+" | "-") product)*
    product    = factor (("*" | "/") factor)*
    factor     = "-" factor | NUMBER | NAME | FUNCTION "(" expression ("," expression)* ")"
               | "(" expression ")"
    number     = "-"? NUMBER

A minus sign before a number is part of the number. Numbers are decimal and finite. The reader
takes any text: it returns a rule or raises `RuleError`, in time linear in the text.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from policies.rules.lexer import END, Token, position, tokens
from policies.rules.rule import Rule, unknown_input
from policies.rules.syntax import (
    COMPARISONS,
    FUNCTIONS,
    LIMIT,
    MOST_NODES,
    RESERVED,
    Binary,
    Comparison,
    Expression,
    If,
    Input,
    Node,
    Number,
    RuleError,
    Unary,
    Variable,
    hint,
    shown,
)
from policies.rules.write import MAGIC, MOST_BYTES

MOST_NESTING = 64
"""Parentheses, arguments and branches open at a time; an expression needs one a level at most."""

Made = TypeVar("Made", bound=Node)


def read_rule(path: str | Path) -> Rule:
    """Return the rule in a file.

    Raises:
        OSError: the file cannot be read.
        RuleError: it is no sound rule; the message names file, line, column and remedy.
    """
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _too_long(str(path))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RuleError(f"{path}: byte {error.start} is not UTF-8; save it as such") from None
    return parse_rule(text, str(path))


def parse_rule(text: str, where: str = "rule") -> Rule:
    """Return the rule that `text` tells.

    Args:
        text: the content of a file.
        where: what messages call it.

    Raises:
        RuleError: it is no sound rule; the message names line, column and remedy.
    """
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise _too_long(where)
    first, _, _ = text.partition("\n")
    if first.split("#")[0].strip() != MAGIC:
        raise RuleError(f"{where}:1:1: the first line must be `{MAGIC}`, not {shown(first)}")
    return _Parser(text, len(first), where).rule()


def _too_long(where: str) -> RuleError:
    return RuleError(f"{where}: longer than {MOST_BYTES} bytes; split the rule")


class _Parser:
    """Recursive descent over the tokens of a text."""

    def __init__(self, text: str, start: int, where: str) -> None:
        self.text, self.where = text, where
        self.tokens = tokens(text, start, where)
        self.at = self.nesting = self.nodes = 0
        self.names: tuple[str, ...] = ()

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def fail(self, problem: str, token: Token | None = None) -> NoReturn:
        place = position(self.text, (token or self.next).at)
        raise RuleError(f"{self.where}:{place}: {problem}")

    def found(self) -> str:
        """Return what messages call the next token."""
        return "the end" if self.next.kind == END else shown(self.next.text)

    def advance(self) -> Token:
        token = self.next
        self.at += token.kind != END
        return token

    def sees(self, *texts: str) -> bool:
        return self.next.text in texts

    def take(self, text: str, fix: str = "") -> Token:
        """Take a sign or a word that must come next."""
        if not self.sees(text):
            self.fail(f"expected `{text}`, found {self.found()}{fix}")
        return self.advance()

    def made(self, token: Token, kind: Callable[..., Made], *parts: object) -> Made:
        """Return a node, or fail at its token."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.fail(f"more than {MOST_NODES} operations, numbers and inputs", token)
        try:
            return kind(*parts)
        except RuleError as error:
            self.fail(str(error), token)

    # --- the head

    def rule(self) -> Rule:
        self.take("name", "; the head is `name`, `action`, then an `input` for each input")
        name = self.name()
        self.take("action", "; after the name comes `action [low, high]`")
        low, high = self.bounds()
        inputs = self.inputs()
        self.names = tuple(i.name for i in inputs)
        body = self.expression()
        if self.next.kind != END:
            self.fail(self._after_expression())
        try:
            return Rule(name, low, high, inputs, body)
        except RuleError as error:  # about the rule as a whole
            raise RuleError(f"{self.where}: {error}") from None

    def inputs(self) -> tuple[Input, ...]:
        found = []
        while self.sees("input"):
            token = self.advance()
            name = self.name()
            low, high = self.bounds()
            try:
                found.append(Input(name, low, high))
            except RuleError as error:
                self.fail(str(error), token)
        if not found:
            self.fail(f"expected `input NAME [low, high]`, found {self.found()}")
        return tuple(found)

    def name(self) -> str:
        if self.next.kind != "word":
            self.fail(f"expected a name, found {self.found()}")
        return self.advance().text

    def bounds(self) -> tuple[float, float]:
        self.take("[", "; bounds are written `[low, high]`")
        low = self.number()
        self.take(",")
        high = self.number()
        self.take("]")
        return low, high

    def number(self) -> float:
        if self.sees("-"):
            self.advance()
            return -self.literal()
        return self.literal()

    def literal(self) -> float:
        if self.next.kind != "number":
            self.fail(f"expected a number, found {self.found()}")
        value = float(self.next.text)
        if value > LIMIT:
            self.fail(f"{self.found()} is too large; numbers reach to {LIMIT:g}")
        self.advance()
        return value

    # --- expressions

    def expression(self) -> Expression:
        self.nesting += 1
        if self.nesting > MOST_NESTING:
            self.fail(f"more than {MOST_NESTING} parentheses and branches are open; flatten it")
        node = self.branch() if self.sees("if") else self.sum()
        self.nesting -= 1
        return node

    def branch(self) -> Expression:
        token = self.take("if")
        left = self.sum()
        if not self.sees(*COMPARISONS):
            self.fail(f"expected a comparison ({' '.join(COMPARISONS)}), found {self.found()}")
        sign = self.advance()
        condition = self.made(sign, Comparison, sign.text, left, self.sum())
        self.take("then", "; a condition is one comparison, nest branches for more")
        then = self.expression()
        self.take("else", "; every `if` has an `else`")
        return self.made(token, If, condition, then, self.expression())

    def sum(self) -> Expression:
        node = self.product()
        while self.sees("+", "-"):
            token = self.advance()
            node = self.made(token, Binary, token.text, node, self.product())
        return node

    def product(self) -> Expression:
        node = self.factor()
        while self.sees("*", "/"):
            token = self.advance()
            node = self.made(token, Binary, token.text, node, self.factor())
        return node

    def factor(self) -> Expression:
        signs = []
        while self.sees("-"):
            signs.append(self.advance())
        token = self.next
        if token.kind == "number":
            value = self.literal()
            if signs:
                signs.pop()
                value = -value
            node: Expression = self.made(token, Number, value)
        elif self.sees("("):
            self.advance()
            node = self.expression()
            self.take(")")
        elif token.kind == "word" and self.tokens[self.at + 1].text == "(":
            node = self.function()
        elif token.kind == "word" and token.text not in RESERVED:
            node = self.variable()
        else:
            self.fail(self._no_value())
        for sign in reversed(signs):
            node = self.made(sign, Unary, "-", node)
        return node

    def variable(self) -> Expression:
        if self.next.text not in self.names:
            self.fail(unknown_input(self.next.text, self.names))
        token = self.advance()
        return self.made(token, Variable, token.text)

    def function(self) -> Expression:
        token = self.advance()
        if token.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            near = hint(token.text, tuple(FUNCTIONS))
            self.fail(f"unknown function {shown(token.text)}{near} (known: {known})", token)
        self.take("(")
        parts = [self.expression()]
        while self.sees(","):
            self.advance()
            parts.append(self.expression())
        self.take(")")
        wanted = FUNCTIONS[token.text]
        if len(parts) != wanted:
            self.fail(f"{token.text} takes {wanted} arguments, found {len(parts)}", token)
        return self.made(token, Unary if wanted == 1 else Binary, token.text, *parts)

    # --- what went wrong

    def _no_value(self) -> str:
        if self.sees("if"):
            return "a branch inside a sum, product or comparison needs parentheses around it"
        if self.sees(*FUNCTIONS):
            return f"expected `(` after {self.next.text}"
        return f"expected a number, an input, a function or `(`, found {self.found()}"

    def _after_expression(self) -> str:
        if self.sees(*COMPARISONS):
            return "a comparison stands only between `if` and `then`"
        if self.sees("input", "name", "action"):
            return f"`{self.next.text}` belongs before the expression"
        return f"expected an operator or the end, found {self.found()}"
