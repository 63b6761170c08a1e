"""`python -m experiments.pages [FOLDER]`: write the generated pages; `--readme`: README's table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments.pages.claims_table import write_readme
from experiments.pages.write import GENERATED, write_pages


def main() -> int:
    """Write what was asked for; 0, or 1 where a figure could not be drawn."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m experiments.pages")
    parser.add_argument("folder", nargs="?", type=Path, default=GENERATED)
    parser.add_argument(
        "--readme", action="store_true", help="rewrite the claims table in README.md instead"
    )
    given = parser.parse_args()
    if given.readme:
        print("changed" if write_readme() else "already current", "README.md")
        return 0
    troubles = write_pages(given.folder)
    print("\n".join(troubles), file=sys.stderr, end="\n" if troubles else "")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
