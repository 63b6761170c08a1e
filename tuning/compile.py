"""Sources to shared objects: in parallel, into a cache whose names are hashes of what made them."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.paths import cache_root
from experiments.setup.programs import ProgramError, run_program
from tuning.templates.base import Source

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Compiled:
    """What became of a source.

    Attributes:
        path: the shared object, or None if there is none.
        seconds: spent compiling, 0 if it was in the cache.
        message: the compiler's complaint, "" if it had none.
    """

    path: Path | None
    seconds: float = 0.0
    message: str = ""


@functools.cache
def toolchain(compiler: str = "g++") -> str:
    """Return the compiler's name and version, a part of every object's and record's key.

    Raises:
        ProgramError: there is no such compiler, or it does not work.
    """
    return run_program([compiler, "--version"], timeout_s=20).stdout.splitlines()[0]


class ObjectCache:
    """Shared objects by content; safe to share between processes, and to delete at any moment."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_root() / "tuning" / "objects"

    def path_of(self, source: Source) -> Path:
        """Return where the object of `source` is, or would be."""
        key = hashlib.sha256(f"{source.digest}\0{toolchain(source.compiler)}".encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.so"

    def compile(self, sources: Sequence[Source], jobs: int | None = None) -> list[Compiled]:
        """Return one result per source; equal sources are compiled once."""
        wanted = {source.digest: source for source in sources}
        jobs = jobs or len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(jobs) as pool:
            made = dict(zip(wanted, pool.map(self._one, wanted.values()), strict=True))
        return [made[source.digest] for source in sources]

    def _one(self, source: Source) -> Compiled:
        start = time.monotonic()
        try:
            path = self.path_of(source)
            if path.is_file():
                return Compiled(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=".making-"))
        except (ProgramError, OSError) as error:
            return Compiled(None, 0.0, str(error))
        try:
            text, made = folder / "unit.cpp", folder / "unit.so"
            text.write_text(source.text, encoding="utf-8")
            command = [source.compiler, *source.flags, str(text), "-o", str(made)]
            run_program(command, timeout_s=TIMEOUT_S)
            os.replace(made, path)
            return Compiled(path, time.monotonic() - start)
        except (ProgramError, OSError) as error:
            return Compiled(None, time.monotonic() - start, str(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
