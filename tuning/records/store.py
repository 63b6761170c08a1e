"""A file of records: appended to by many processes, read with suspicion."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tuning.records.appending import append_whole
from tuning.records.entry import SCHEMA, Entry, RecordKey
from tuning.space import OUT_OF_BUDGET, Measurement

LONGEST_LINE = 64 << 10
LARGEST_FILE = 1 << 30
_HEAD = re.compile(rb'\{"schema":%d,"id":"([0-9a-f]{24})",' % SCHEMA)


class RecordsError(OSError):
    """A file of records cannot be read or written; what it held before is intact."""


class RecordsWarning(UserWarning):
    """A file of records holds lines that are none; they were skipped."""


class Records:
    """An append-only file of JSON lines, one per measured candidate.

    Lines are indexed by their key's digest without being parsed, once; later questions read only
    what was appended since. Lines that are not records are skipped with a `RecordsWarning` that
    names file and line.

    Args:
        path: the file; it is made when first appended to.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.skipped = 0
        """Lines met so far that are no records."""
        self._forget()

    def _forget(self) -> None:
        self._lines: dict[bytes, list[tuple[int, bytes]]] = {}
        self._known: dict[bytes, list[Entry]] = {}
        self._read, self._number, self._inode, self._torn_at = 0, 0, -1, -1

    def find(self, key: RecordKey) -> list[Measurement]:
        """Return the newest measurement of each candidate under `key`.

        Raises:
            RecordsError: the file is there and cannot be read.
        """
        return [entry.measurement for entry in self.entries(key)]

    def entries(self, key: RecordKey, least_ns: float = 0.0) -> list[Entry]:
        """Return the newest record of each candidate under `key`; raises as `find`.

        Times below `least_ns` are not believed: a `RecordsWarning` counts them, and what was
        recorded before them counts.
        """
        self._refresh()
        found = [entry for entry in self._parsed(key.digest.encode()) if entry.key == key]
        kept = [entry for entry in found if not entry.is_below(least_ns)]
        if count := len(found) - len(kept):
            told = f"{count} times below {least_ns:.3g} ns for {key.operator} are not believed"
            warnings.warn(f"{self.path}: {told}", RecordsWarning, stacklevel=3)
        return list(_newest(kept).values())

    def everything(self) -> list[Entry]:
        """Return all records, in the file's order per key; raises as `find`."""
        self._refresh()
        return [entry for digest in self._lines for entry in self._parsed(digest)]

    def append(
        self, key: RecordKey, measurements: Iterable[Measurement], final: bool = False
    ) -> None:
        """Add one record per measurement, all or none. Candidates out of budget are left out.

        Raises:
            RecordsError: the file cannot be written; records from before are intact.
            ValueError: a time is negative or not a number.
        """
        now = time.time_ns()
        self._write(
            Entry(key, measurement, now, final).line()
            for measurement in measurements
            if (measurement.status, measurement.message) != ("rejected", OUT_OF_BUDGET)
        )

    @staticmethod
    def merge(paths: Sequence[Path], into: Path) -> int:
        """Add to the file `into` what the others know and it does not; return how many records.

        Of several records of a candidate under one key the newest is taken.

        Raises:
            RecordsError: a file cannot be read, or `into` not written.
        """
        for path in paths:
            if not Path(path).is_file():
                raise RecordsError(f"{path}: there are no records to merge")
        target = Records(into)
        known = _newest(target.everything())
        given = _newest(entry for path in paths for entry in Records(path).everything())
        news = [e for place, e in given.items() if place not in known or _after(e, known[place])]
        target._write(entry.line() for entry in news)
        return len(news)

    def _write(self, lines: Iterable[bytes]) -> None:
        data = b"".join(line + b"\n" for line in lines)
        if not data:
            return
        with self._opened(os.O_RDWR | os.O_CREAT | os.O_APPEND, "written") as fd:
            append_whole(fd, data)

    @contextmanager
    def _opened(self, flags: int, what: str) -> Iterator[int]:
        try:
            if flags & os.O_CREAT:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, flags | os.O_CLOEXEC, 0o666)
            try:
                yield fd
            finally:
                os.close(fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            why = error.strerror or error
            raise RecordsError(f"{self.path}: records cannot be {what}: {why}") from None

    def _refresh(self) -> None:
        """Index the lines that were appended since the last time."""
        try:
            with self._opened(os.O_RDONLY, "read") as fd:
                known = os.fstat(fd)
                if known.st_ino != self._inode or known.st_size < self._read:
                    self._forget()
                    self._inode = known.st_ino
                if known.st_size > LARGEST_FILE:
                    raise OSError(f"{known.st_size} bytes are more than {LARGEST_FILE}")
                data = _read_from(fd, self._read)
        except FileNotFoundError:
            return self._forget()
        if data:
            self._index(data)

    def _index(self, data: bytes) -> None:
        lines = data.split(b"\n")
        torn = lines.pop()
        self._read += len(data) - len(torn)
        faults = []
        for line in lines:
            self._number += 1
            if (head := _HEAD.match(line)) and len(line) <= LONGEST_LINE:
                self._lines.setdefault(head[1], []).append((self._number, line))
                self._known.pop(head[1], None)
            elif line:
                faults.append((self._number, self._foreign(line)))
        self._warn([(number, why) for number, why in faults if why])
        if torn and self._torn_at != self._read:  # else it was told before
            self._torn_at = self._read
            told = f"{self.path}, line {self._number + 1}: cut short (its writer was ended?)"
            warnings.warn(f"{told}; skipped", RecordsWarning, stacklevel=5)

    def _foreign(self, line: bytes) -> str:
        """Take in a record that was written in another order; return why it is none, or ""."""
        if len(line) > LONGEST_LINE:
            return f"longer than {LONGEST_LINE} bytes"
        try:
            digest = Entry.parse(line).key.digest.encode()
        except ValueError as error:
            return str(error)
        self._lines.setdefault(digest, []).append((self._number, line))
        self._known.pop(digest, None)
        return ""

    def _parsed(self, digest: bytes) -> list[Entry]:
        if digest not in self._known:
            found, faults = [], []
            for number, line in self._lines.get(digest, []):
                try:
                    found.append(Entry.parse(line))
                except ValueError as error:
                    faults.append((number, str(error)))
            self._known[digest] = found
            self._warn(faults)
        return self._known[digest]

    def _warn(self, faults: list[tuple[int, str]]) -> None:
        if not faults:
            return
        self.skipped += len(faults)
        number, why = faults[0]
        more = f"; {len(faults)} such lines were skipped" if len(faults) > 1 else "; skipped"
        told = f"{self.path}, line {number}: {why}{more}"
        warnings.warn(told, RecordsWarning, stacklevel=5)


def _read_from(fd: int, offset: int) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(offset)
        return file.read()


def _after(one: Entry, other: Entry) -> bool:
    return one.at_ns > other.at_ns


def _newest(entries: Iterable[Entry]) -> dict[tuple[str, str], Entry]:
    """Return (digest, candidate) -> its newest record; the later line among equally old ones."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        place = (entry.key.digest, entry.candidate)
        if place not in found or not _after(found[place], entry):
            found[place] = entry
    return found
