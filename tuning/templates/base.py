"""The contract of a template library; the CPU's C++ templates are one, CUTLASS is another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from tuning.operators import Operator
from tuning.space import Candidate, Space


@dataclass(frozen=True)
class Source:
    """One translation unit.

    Attributes:
        text: self-contained C++.
        compiler: program that takes it, such as `g++`.
        flags: what the compiler is called with, the files left out.
        prelude_chars: length of the beginning that many sources share, and that may be compiled
            ahead of them; it ends at a line's end, outside of any definition. It decides nothing.
        folders: where headers are looked for. They decide nothing: the text must refuse headers of
            another version than it was written for.
        suffix: of the file that the compiler gets.
        reports: whether what the compiler says of an object is kept beside it.
    """

    text: str
    compiler: str
    flags: tuple[str, ...]
    prelude_chars: int = 0
    folders: tuple[str, ...] = ()
    suffix: str = ".cpp"
    reports: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the object, the compiler's version left out."""
        parts = "\0".join((self.compiler, *self.flags, self.text))
        return hashlib.sha256(parts.encode()).hexdigest()


class TemplateLibrary(Space, Protocol):
    """A space of candidates that can be rendered.

    Attributes:
        name: such as `cpu`.
        version: changes whenever rendered code changes; part of every record's key.
        compiler: program that takes its sources; its version is part of every record's key.
    """

    name: str
    version: str
    compiler: str

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        """Return why the candidate cannot compute the operator, or None if it can."""
        ...

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        """Return the candidate's source; equal for candidates that share one object."""
        ...
