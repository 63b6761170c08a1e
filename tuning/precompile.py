"""The beginning that sources share, parsed once: a precompiled header of GCC or Clang.

Vector intrinsics alone take the compiler 0.3 s; a unit compiles in about two thirds of the time
without them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from experiments.setup.programs import ProgramError, run_program
from tuning.templates.base import Source

_KEPT = 6


class Preludes:
    """Precompiled headers by content, in a folder that may be deleted at any moment.

    Args:
        folder: where they are.
        timeout_s: seconds that the compiler may take for one.
    """

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self.folder, self.timeout_s = folder, timeout_s
        self._lock = threading.Lock()
        self._known: dict[str, Path | None] = {}

    def shortened(self, source: Source, version: str) -> tuple[str, float]:
        """Return the text of `source`, its prelude replaced by an #include if that will do.

        The second value is the seconds of waiting for another thread that makes a prelude.

        Never raises for a prelude that does not compile: the whole text comes back, and the
        compiler's complaint about it is the one to show. `version` is the compiler's.
        """
        begin = source.text[: source.prelude_chars]
        if not begin:
            return source.text, 0.0
        parts = (source.compiler, version, *source.flags, begin)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
        start = time.monotonic()
        with self._lock:  # one thread makes it, the others wait
            waited_s = time.monotonic() - start
            if key not in self._known:
                self._known[key] = self._made(source, begin, self.folder / key)
            header = self._known[key]
        if header is None or not header.is_file():
            return source.text, waited_s
        return f'#include "{header}"\n{source.text[source.prelude_chars :]}', waited_s

    def _made(self, source: Source, begin: str, place: Path) -> Path | None:
        header = place / "prelude.hpp"
        if header.is_file():
            return header
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(dir=self.folder, prefix=".making-"))
        except OSError:
            return None
        try:
            text = making / "prelude.hpp"
            text.write_text(begin, encoding="utf-8")
            ahead = ["-x", "c++-header", str(text), "-o", f"{text}.gch"]
            command = [source.compiler, *source.flags, *ahead]
            run_program(command, timeout_s=self.timeout_s)
            os.rename(making, place)
            self._sweep()
        except (ProgramError, OSError):  # another process may have made it meanwhile
            return header if header.is_file() else None
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return header

    def _sweep(self) -> None:
        """Keep the newest few; one is some ten megabytes."""
        ages = sorted((place.stat().st_mtime, place) for place in self.folder.iterdir())
        for _, place in ages[:-_KEPT]:
            shutil.rmtree(place, ignore_errors=True)
