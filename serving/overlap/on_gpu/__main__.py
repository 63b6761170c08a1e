"""`python -m on_gpu overlap|engine ...`."""

from __future__ import annotations

import sys

from . import __doc__ as about


def main(words: list[str]) -> int:
    """Run a command; return its exit code."""
    if words[:1] == ["overlap"]:
        from .overlap import main as command
    elif words[:1] == ["engine"]:
        from .engine import main as command
    else:
        print(about, file=sys.stderr if words else sys.stdout)
        return 0 if words in ([], ["--help"], ["-h"]) else 2
    return command(words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
