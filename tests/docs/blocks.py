"""Fenced blocks of the pages, and the markers that say why one is not simply run.

A block is run as it stands: a shell block command by command, the Python blocks of a page one
after another in one namespace, a Python block that begins with a docstring as a file of its own. A
comment in the page right above it says otherwise, for all of it or for commands that begin so:

    <!-- example: only parsed: takes ten minutes -->
    <!-- example: only parsed "triptych reproduce": takes minutes -->

What is only parsed must exist and take these options, or compile. A `text` block below
`<!-- example: prints -->` has lines that the last command before it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from experiments.paths import ROOT

PAGES = ("README.md", "ARCHITECTURE.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))
SHELL, PYTHON = ("sh", "bash"), ("python",)
OTHERS = ("", "console", "text", "yaml", "{toctree}")
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\s`]*)(?P<rest>.*)$")
PRINTS = "<!-- example: prints -->"
MARKER = re.compile(r'^<!-- example: only parsed(?: "(?P<begin>[^"]+)")?: (?P<why>.+) -->$')


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: file, relative to the root.
        line: of its opening fence, from 1.
        language: in lower case; "" where the fence names none.
        text: what is between the fences.
        marks: beginning of a command ("" for all of the block) -> why it is only parsed.
        printed_by: the command whose output it shows, "" for none.
    """

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)
    printed_by: str = ""

    @property
    def name(self) -> str:
        """File and line."""
        return f"{self.page}:{self.line}"

    def is_run(self, command: str = "") -> bool:
        """Return whether a command of it, or a Python block as a whole, is run."""
        return not any(command.startswith(begin) for begin in self.marks)


def blocks_of(page: str, given: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises:
        ValueError: a fence is not closed, or a marker has no block right after it.
    """
    lines = ((ROOT / page).read_text(encoding="utf-8") if given is None else given).splitlines()
    found: list[Block] = []
    marks: dict[str, str] = {}
    place, shown, last = 0, "", ""
    while place < len(lines):
        if marker := MARKER.match(lines[place].strip()):
            marks[marker["begin"] or ""] = marker["why"]
        elif lines[place].strip() == PRINTS:
            shown = last
        elif opening := FENCE.match(lines[place]):
            end = _end(page, lines, place, opening["fence"])
            body = "\n".join(
                line.removeprefix(opening["indent"]) for line in lines[place + 1 : end]
            )
            language, text = opening["language"].lower(), f"{body}\n"
            found.append(Block(page, place + 1, language, text, marks, shown))
            if language in SHELL:
                last = commands_of(text)[-1]
            place, marks, shown = end, {}, ""
        elif lines[place].strip() and marks:
            raise ValueError(f"{page}:{place + 1}: a marker stands right above its block")
        elif lines[place].strip().startswith("<!-- example"):
            raise ValueError(f"{page}:{place + 1}: is no marker that is known")
        place += 1
    if marks:
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
    return [line for line in lines if line]
