"""Text of a rule to words, numbers and signs; what is between them is space or a comment."""

from __future__ import annotations

import re
from dataclasses import dataclass

from policies.rules.syntax import RuleError, shown

_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r\n]|#[^\n]*)+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=|>=|[-+*/()\[\],<>])"
)
END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number, a sign or the end of the text.

    Attributes:
        kind: `word`, `number`, `sign` or `END`.
        text: as it stands in the file; "" at the end.
        at: offset of its first character.
    """

    kind: str
    text: str
    at: int


def tokens(text: str, start: int, where: str) -> list[Token]:
    """Return what `text` consists of from offset `start` on, an `END` last.

    Raises:
        RuleError: a character that belongs to nothing.
    """
    found = []
    at = start
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            place = position(text, at)
            raise RuleError(
                f"{where}:{place}: {shown(text[at])} has no meaning in a rule; "
                "there are numbers, names, + - * / ( ) , < <= > >= and comments after #"
            )
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    found.append(Token(END, "", at))
    return found


def position(text: str, at: int) -> str:
    """Return `line:column` of an offset, both from 1."""
    line = text.count("\n", 0, at) + 1
    return f"{line}:{at - text.rfind(chr(10), 0, at)}"
