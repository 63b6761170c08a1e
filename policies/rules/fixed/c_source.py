"""Rules in integers to C99, for user space and, unchanged, for clang's BPF target.

To be compiled where >> of a negative number keeps its sign, as gcc and clang have it. BPF programs
include `vmlinux.h` first, which has the types. Each condition and each formula stands above what
was made of it, as in the rule's text; one branch is computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from policies.rules.fixed.c_arithmetic import arithmetic
from policies.rules.fixed.compile import FixedRule
from policies.rules.fixed.evaluate import COMPARE
from policies.rules.fixed.formats import Format
from policies.rules.fixed.terms import Term
from policies.rules.syntax import shown

BPF_FLAGS = ("-std=gnu99", "-O2", "-target", "bpf", "-mcpu=v3")
"""What clang makes BPF with."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_INFIX = {"add": "+", "subtract": "-", "multiply": "*"}
_MOST_NOTE = 500


def c_fixed(fixed: FixedRule, name: str) -> str:
    """Return the source of `static __always_inline s64 name(const s64 *inputs)`.

    The i-th input of the rule is `inputs[i]` in its format; any s64 is allowed. Several such
    sources may follow one another in one file.

    Raises:
        ValueError: `name` cannot name a C function.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{shown(name)} cannot name a C function; use letters, digits, _")
    lines = [f" *   inputs[{n}]: {_told(form)}" for n, form in enumerate(fixed.inputs)]
    lines += [f" *   returns: {_told(fixed.action)}", " */"]
    body = _Body(fixed.inputs)
    result = body.emit(fixed.body, 1)
    head = f"static __always_inline s64 {name}(const s64 *inputs)"
    unread = [] if "FIXED_READ" in " ".join(body.lines) else ["    (void)inputs;"]
    parts = [arithmetic(), f"/* Rule {fixed.rule.name} in integers of 64 bits.", *lines, head, "{"]
    return "\n".join([*parts, *unread, *body.lines, f"    return {result};", "}", ""])


def _told(form: Format) -> str:
    return f"{form.name}, {form.fraction} fractional bits, {form.low} to {form.high}"


@dataclass
class _Body:
    """Statements of a function, as they come.

    Inputs are read where they are first used, and again in another branch, and the operand that
    takes more is computed first: few values live at once, as the stack of BPF has 512 bytes.

    Attributes:
        inputs: their formats.
        lines: so far.
        scopes: places of the inputs read in each block that is open, outermost first.
        made: names given so far.
    """

    inputs: tuple[Format, ...]
    lines: list[str] = field(default_factory=list)
    scopes: list[set[int]] = field(default_factory=lambda: [set()])
    made: int = 0

    def emit(self, term: Term, depth: int) -> str:
        """Append what computes a term; return the C expression of its value."""
        if term.kind == "input":
            return self._input(term.parameters[0], depth)
        if term.note:
            self.lines.append(f"{_pad(depth)}/* {_note(term.note)} */")
        if term.kind in COMPARE:
            return self._branch(term, depth)
        if term.kind == "number":
            return self._named(_c(term.low), term, depth, "k")
        args = self._all(term.args, depth)
        return self._named(_operation(term, args), term, depth, "v")

    def _all(self, terms: Sequence[Term], depth: int) -> list[str]:
        """Emit terms, the largest first; return their names in the order given."""
        order = sorted(range(len(terms)), key=lambda n: -_size(terms[n]))
        names = {n: self.emit(terms[n], depth) for n in order}
        return [names[n] for n in range(len(terms))]

    def _input(self, place: int, depth: int) -> str:
        name = f"x{place}"
        if not any(place in scope for scope in self.scopes):
            form = self.inputs[place]
            value = f"fixed_input(FIXED_READ(inputs[{place}]), {_c(form.low)}, {_c(form.high)})"
            self.lines.append(f"{_pad(depth)}const s64 {name} = {value};")
            self.scopes[-1].add(place)
        return name

    def _named(self, value: str, term: Term, depth: int, letter: str) -> str:
        name = f"{letter}{self.made}"
        self.made += 1
        note = f" /* {_decimal(term)} */" if term.kind == "number" else ""
        self.lines.append(f"{_pad(depth)}const s64 {name} = {value};{note}")
        return name

    def _branch(self, term: Term, depth: int) -> str:
        left, right = self._all(term.args[:2], depth)
        name = f"v{self.made}"
        self.made += 1
        pad = _pad(depth)
        self.lines += [f"{pad}s64 {name};", f"{pad}if ({left} {term.kind} {right}) {{"]
        for side, ends in zip(term.args[2:], (f"{pad}}} else {{", f"{pad}}}"), strict=True):
            self.scopes.append(set())
            value = self.emit(side, depth + 1)
            self.scopes.pop()
            self.lines += [f"{_pad(depth + 1)}{name} = {value};", ends]
        return name


def _size(term: Term) -> int:
    return 1 + sum(map(_size, term.args))


def _operation(term: Term, args: list[str]) -> str:
    if term.kind in _INFIX:
        return f"{args[0]} {_INFIX[term.kind]} {args[1]}"
    if term.kind == "negative":
        return f"-{args[0]}"
    if term.kind == "scale":
        return f"{args[0]} * (1LL << {term.parameters[0]})"
    if term.kind == "clamp":
        return _clamp(term, args[0])
    return f"fixed_{term.kind}({', '.join([*args, *map(_c, term.parameters)])})"


def _clamp(term: Term, value: str) -> str:
    """Return a limit on the sides where the value may exceed it."""
    (low, high), (x,) = term.parameters, term.args
    if x.high <= high:
        return f"fixed_max({value}, {_c(low)})"
    return f"fixed_min({value if x.low >= low else f'fixed_max({value}, {_c(low)})'}, {_c(high)})"


def _decimal(term: Term) -> str:
    return f"{math.ldexp(term.low, -term.fraction):.9g}, {term.fraction} fractional bits"


def _note(text: str) -> str:
    return text if len(text) <= _MOST_NOTE else f"{text[:_MOST_NOTE]}..."


def _pad(depth: int) -> str:
    return "    " * depth


def _c(value: int) -> str:
    return f"{value}LL" if abs(value) > 0x7FFF_FFFF else f"{value}"
