"""The process that runs candidates: requests on stdin, events on stdout, one JSON text a line.

Started by `tuning.profile.client`; ends with its parent or when stdin closes. Whatever a kernel
prints goes to stderr, never among the events.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from tuning.profile.bench import Bench
from tuning.profile.board import NOBODY, Board
from tuning.profile.lifeline import end_with_parent
from tuning.profile.priority import ask_for_priority
from tuning.profile.stopwatch import Stopwatch

MOST_PRINTED_BYTES = 16 << 20
"""A kernel that prints more is ended by SIGXFSZ."""


def main() -> None:
    """Serve requests until stdin closes."""
    end_with_parent()
    watch_path, threads, evict_bytes, turn, reference = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_PRINTED_BYTES, MOST_PRINTED_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ask_for_priority()
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    board = Board((int(turn), int(reference)))
    watch = Stopwatch(Path(watch_path), int(threads), int(evict_bytes))

    def say(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    for line in sys.stdin:
        board.take(NOBODY)
        try:
            Bench(json.loads(line), board, watch, say).run()
            say({"done": True})
        except MemoryError:
            say({"done": True, "failed": "not enough memory for the operands"})


if __name__ == "__main__":
    main()
