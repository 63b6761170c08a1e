"""Fenced blocks of the pages, and the markers that say why one is not simply run.

A block is run as it stands. A comment in the page above it says otherwise:

    <!-- example: only parsed: takes minutes -->

`only parsed` asks that a shell block's commands exist and take these options, and that a Python block
compiles; the reason is what a reader of the page's source is told. Text, output and other languages
have no marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.paths import ROOT

PAGES = ("README.md", "ARCHITECTURE.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))
SHELL, PYTHON = ("sh", "bash", "shell"), ("python", "py")
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w+-]*)(?P<rest>.*)$")
MARKER = re.compile(r"^<!-- example: (?P<how>only parsed): (?P<why>.+) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: file, relative to the root.
        line: of its opening fence, from 1.
        language: in lower case; "" where the fence names none.
        text: what is between the fences.
        only_parsed: why it is not run, or None.
    """

    page: str
    line: int
    language: str
    text: str
    only_parsed: str | None = None

    @property
    def name(self) -> str:
        """File and line."""
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises:
        ValueError: a fence is not closed, or a marker has no block right after it.
    """
    lines = ((ROOT / page).read_text(encoding="utf-8") if text is None else text).splitlines()
    found: list[Block] = []
    why: str | None = None
    place = 0
    while place < len(lines):
        if marker := MARKER.match(lines[place].strip()):
            why = marker["why"]
        elif opening := FENCE.match(lines[place]):
            end = _end(page, lines, place, opening["fence"])
            body = "\n".join(
                line.removeprefix(opening["indent"]) for line in lines[place + 1 : end]
            )
            found.append(Block(page, place + 1, opening["language"].lower(), f"{body}\n", why))
            place, why = end, None
        elif lines[place].strip() and why is not None:
            raise ValueError(f"{page}:{place + 1}: a marker stands right above its block")
        place += 1
    if why is not None:
        raise ValueError(f"{page}: a marker at the end has no block")
    return found


def _end(page: str, lines: list[str], place: int, fence: str) -> int:
    for end in range(place + 1, len(lines)):
        if lines[end].strip() == fence:
            return end
    raise ValueError(f"{page}:{place + 1}: the fence is not closed")


def all_blocks(*languages: str) -> Iterator[Block]:
    """Yield the blocks in those languages of every page."""
    for page in sorted(PAGES):
        yield from (block for block in blocks_of(page) if block.language in languages)


def commands_of(text: str) -> list[str]:
    """Return the commands of a shell block: comments and prompts left out, lines joined."""
    joined = text.replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line.removeprefix("$ ") for line in lines if line]


def page_path(block: Block) -> Path:
    """Return the file that a block is in."""
    return ROOT / block.page
