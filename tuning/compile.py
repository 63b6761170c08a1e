"""Sources to shared objects: in parallel, into a cache whose names are hashes of what made them."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.paths import cache_root
from experiments.setup.programs import ProgramError, run_program
from tuning.precompile import Preludes
from tuning.space import OUT_OF_BUDGET
from tuning.templates.base import Source

TIMEOUT_S = 120.0
MOST_BYTES = 2 << 30
"""The cache evicts what was used longest ago beyond this."""

REPORT = ".txt"
"""Suffix of the file beside an object that holds what the compiler said of it."""

_STALE_S = 3600.0
_SWEEP_EVERY = 256
_LONGEST_MESSAGE = 600


@dataclass(frozen=True)
class Compiled:
    """What became of a source.

    Attributes:
        path: the shared object, or None if there is none.
        seconds: spent compiling, 0 if it was in the cache.
        message: the compiler's complaint, "" if it had none.
        report: what the compiler said of the object, where the source asks to keep it.
    """

    path: Path | None
    seconds: float = 0.0
    message: str = ""
    report: str = ""


@functools.cache
def toolchain(compiler: str = "g++") -> str:
    """Return the compiler's name and version, a part of every object's and record's key.

    It is the first line of what `--version` says, or the last where the first has no number (nvcc).

    Raises:
        ProgramError: there is no such compiler, or it does not work.
    """
    lines = run_program([compiler, "--version"], timeout_s=20).stdout.splitlines()
    if not lines:
        raise ProgramError(f"{compiler} --version says nothing; is it a compiler?")
    return lines[0] if any(map(str.isdigit, lines[0])) else lines[-1]


class ObjectCache:
    """Shared objects by content; safe to share between processes, and to delete at any moment.

    Args:
        folder: where they are; None: under the cache's root.
        most_bytes: size beyond which those used longest ago are removed.
        timeout_s: seconds that the compiler may take for one.
    """

    def __init__(
        self,
        folder: Path | None = None,
        most_bytes: int = MOST_BYTES,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.folder = folder or cache_root() / "tuning" / "objects"
        self.most_bytes, self.timeout_s = most_bytes, timeout_s
        self._preludes = Preludes(self.folder / "preludes", timeout_s)
        self._made = 0

    def path_of(self, source: Source) -> Path:
        """Return where the object of `source` is, or would be.

        Raises:
            ProgramError: its compiler is missing or does not work.
        """
        key = hashlib.sha256(f"{source.digest}\0{toolchain(source.compiler)}".encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.so"

    def compile(
        self, sources: Sequence[Source], jobs: int | None = None, deadline: float = math.inf
    ) -> list[Compiled]:
        """Return one result per source; equal sources are compiled once. Never raises for one.

        Args:
            sources: what to compile.
            jobs: compilers at a time; None: one per core.
            deadline: `time.monotonic()` after which no compiler is started any more.
        """
        wanted = {source.digest: source for source in sources}
        jobs = jobs or len(os.sched_getaffinity(0))

        def one(source: Source) -> Compiled:
            return self._one(source, deadline)

        with ThreadPoolExecutor(jobs) as pool:
            made = dict(zip(wanted, pool.map(one, wanted.values()), strict=True))
        self._sweep(sum(result.seconds > 0 for result in made.values()))
        return [made[source.digest] for source in sources]

    def require(self, source: Source) -> Path:
        """Return the object of a source that must compile.

        Raises:
            ProgramError: it does not.
        """
        made = self.compile([source])[0]
        if made.path is None:
            raise ProgramError(f"cannot compile: {made.message}")
        return made.path

    def discard(self, source: Source) -> None:
        """Remove the object of `source`, so that it is compiled anew."""
        self.path_of(source).unlink(missing_ok=True)
        self.path_of(source).with_suffix(REPORT).unlink(missing_ok=True)

    def _one(self, source: Source, deadline: float) -> Compiled:
        start = time.monotonic()
        try:
            path = self.path_of(source)
            report = path.with_suffix(REPORT)
            if is_whole(path) and (report.is_file() or not source.reports):
                os.utime(path)  # what is used stays longest
                return Compiled(path, report=_read(report) if source.reports else "")
            if start > deadline:
                return Compiled(None, 0.0, OUT_OF_BUDGET)
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=".making-"))
        except (ProgramError, OSError) as error:
            return Compiled(None, 0.0, str(error))
        try:
            made = folder / "unit.so"
            text, waited_s = self._preludes.shortened(source, toolchain(source.compiler))
            start += waited_s
            done = self._call(source, text, folder, made)
            if done.returncode != 0 and source.prelude_chars:
                done = self._call(source, source.text, folder, made)  # whatever the short cut broke
            if done.returncode != 0 or not is_whole(made):
                return Compiled(None, time.monotonic() - start, _complaint(source, done))
            told = done.stderr + done.stdout if source.reports else ""
            if source.reports:  # before the object: one that is there has its report
                (folder / "report").write_text(told, encoding="utf-8")
                os.replace(folder / "report", path.with_suffix(REPORT))
            os.replace(made, path)
            return Compiled(path, time.monotonic() - start, report=told)
        except (ProgramError, OSError) as error:
            return Compiled(None, time.monotonic() - start, str(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _call(
        self, source: Source, text: str, folder: Path, made: Path
    ) -> subprocess.CompletedProcess[str]:
        unit = folder / f"unit{source.suffix}"
        unit.write_text(text, encoding="utf-8")
        search = [f"-I{place}" for place in source.folders]
        command = [source.compiler, *source.flags, *search, str(unit), "-o", str(made)]
        return run_program(command, timeout_s=self.timeout_s, check=False)

    def _sweep(self, made: int) -> None:
        """Now and then, remove what is beyond the limit, and what killed processes left."""
        first = self._made == 0
        self._made += made
        if not made or not (first or self._made >= _SWEEP_EVERY):
            return
        self._made = 1
        objects = []
        for path in self.folder.glob("*/*.so"):
            try:
                known = path.stat()
            except OSError:  # another process swept it
                continue
            objects.append((known.st_mtime, known.st_size, path))
        held = sum(size for _, size, _ in objects)
        for _, size, path in sorted(objects):
            if held <= self.most_bytes:
                break
            path.unlink(missing_ok=True)
            path.with_suffix(REPORT).unlink(missing_ok=True)
            held -= size
        for folder in self.folder.glob(".making-*"):
            try:
                if time.time() - folder.stat().st_mtime > _STALE_S:
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError:
                continue


def is_whole(path: Path) -> bool:
    """Return whether `path` is a 64-bit ELF file that ends where its header says or later.

    Loading a file that was cut short (full disk, crash) can kill the process that does it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    if len(head) < 64 or head[:5] != b"\x7fELF\x02":
        return False
    (sections_at,) = struct.unpack_from("<Q", head, 40)
    entry_bytes, entries = struct.unpack_from("<HH", head, 58)
    return size >= sections_at + entry_bytes * entries


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _complaint(source: Source, done: subprocess.CompletedProcess[str]) -> str:
    """Return the compiler's first errors, or its last words."""
    said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
    errors = [line for line in said if "error" in line.lower() or "No space" in line]
    told = " | ".join(errors[:3] or said[-1:])[:_LONGEST_MESSAGE]
    if done.returncode == 0:
        return f"{source.compiler} made no object: {told}"
    return f"{source.compiler} ended with exit code {done.returncode}: {told}"
