"""`python -m tests.check_skips REPORT.xml`: fail on a skip that is not allowed.

A skip is allowed if `tests/needs.py` made it ("needs gpu: ...") for something that
`tests/allowed_skips.txt` lists.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def allowed_names(text: str) -> set[str]:
    """Return the names that a list of allowed skips holds."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {line for line in lines if line}


def skips(report: Path) -> Iterator[tuple[str, str]]:
    """Yield (test, message) of every skip in a JUnit report; expected failures are none."""
    for case in ElementTree.parse(report).iter("testcase"):
        for skip in case.iter("skipped"):
            if skip.get("type") != "pytest.xfail":
                test = f"{case.get('classname')}::{case.get('name')}"
                yield test, skip.get("message") or ""


def forbidden(report: Path, allowed: set[str]) -> list[str]:
    """Return one line for each skip that is not allowed."""
    lines = []
    for test, message in skips(report):
        need = re.match(r"needs ([\w-]+):", message)
        if need is None or need[1] not in allowed:
            lines.append(f"skip not allowed: {test}: {message}")
    return lines


def main(argv: list[str]) -> int:
    """Check one report; return the exit code."""
    if len(argv) != 1 or not Path(argv[0]).is_file():
        print("usage: python -m tests.check_skips REPORT.xml", file=sys.stderr)
        return 2
    lines = forbidden(Path(argv[0]), allowed_names(ALLOWED.read_text(encoding="utf-8")))
    print("\n".join(lines), end="\n" if lines else "", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
