"""From a paper's section to the lines that implement it, the tests that check it, its figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.pages.known import Known
from experiments.pages.sections import SECTIONS, Section
from experiments.pages.tables import heading, table
from experiments.paths import PACKAGES, ROOT

MARKER = re.compile(r"^\s*(?:#|//) paper: (?P<names>.+)$")
SUFFIXES = (".py", ".hpp", ".cpp", ".c", ".h")
TESTS = "tests"
TITLES = {"blendserve": "BlendServe", "symbolicpcc": "SymbolicPCC", "bolt": "Bolt"}


@dataclass(frozen=True)
class Mark:
    """A line that names a section.

    Attributes:
        section: its name.
        file: relative to the root.
        line: from 1.
        of: what follows it, such as `def nodes_by_density`; "" where that is no definition.
    """

    section: str
    file: str
    line: int
    of: str

    @property
    def is_test(self) -> bool:
        """Whether it stands in a test."""
        return self.file.startswith(f"{TESTS}/")


@cache
def marks() -> tuple[Mark, ...]:
    """Return every marker in the sources and the tests, by file and line."""
    found: list[Mark] = []
    for folder in (*PACKAGES, TESTS):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                found += marks_in(path)
    return tuple(found)


def marks_in(path: Path) -> Iterator[Mark]:
    """Yield the markers of a file.

    Raises:
        ValueError: one names a section that no paper has; file and line are told.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    for place, line in enumerate(lines):
        if (marker := MARKER.match(line)) is None:
            continue
        file = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
        for name in (part.strip() for part in marker["names"].split(";")):
            if name not in SECTIONS:
                raise ValueError(f"{file}:{place + 1}: paper: {name!r} is no section (sections.py)")
            yield Mark(name, file, place + 1, _definition(lines[place + 1 :]))


def _definition(after: list[str]) -> str:
    """Return the name of what begins before the next empty line, decorators skipped."""
    for line in after:
        if not line.strip():
            break
        if found := re.match(r"\s*(?:def|class|struct) (\w+)|([A-Z]\w*)(?:: [^=]+)? = ", line):
            return found[1] or found[2]
    return ""


def page(found: Mapping[str, Known]) -> str:
    """Return the page."""
    lines = [
        *heading(1, "From paper to code"),
        "Where each part of the papers is implemented, tested and drawn. Lines carry a comment"
        " `# paper: NAME`; this page is written from them when the pages are built, and a test"
        " fails where one names no section, or where a section has neither code nor a reason.",
        "",
    ]
    for paper, title in TITLES.items():
        mine = [section for section in SECTIONS.values() if section.paper == paper]
        lines += [*heading(2, title), *table(("part", "code", "tests", "figures"), map(_row, mine))]
    return "\n".join(lines)


def _row(section: Section) -> tuple[str, str, str, str]:
    mine = [mark for mark in marks() if mark.section == section.name]
    code = [_shown(mark) for mark in mine if not mark.is_test]
    tests = [_shown(mark) for mark in mine if mark.is_test]
    figures = [f"[{name.partition('/')[2]}](figures/{name}.md)" for name in section.experiments]
    return (
        f"**{section.number}** {section.says}",
        ", ".join(code) or f"none: {section.reason}",
        ", ".join(tests) or (f"none: {section.untested}" if section.untested else "-"),
        ", ".join(figures) or "-",
    )


def _shown(mark: Mark) -> str:
    name = f" `{mark.of}`" if mark.of else ""
    return f"`{mark.file}:{mark.line}`{name}"
