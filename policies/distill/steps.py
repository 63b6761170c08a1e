"""Steps of a long computation, each with a file as its result, so that none is done twice.

Beside the files of a step lies its record, `NAME.done.json`: the digest of everything that the
step's result depends on (its parameters, and the content of the files of the steps before it), and
the digests of its own files. A step whose record tells the same is read, not done. As content
counts, a step that is done again with the same result does not let others be done again.

The record is written last and removed first, so that a kill at any moment leaves a step that is
done, or one that is not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from policies.distill.storage import digest_of, read_json, write_json
from sim.streams import canonical_json

T = TypeVar("T")
FORMAT = 1
RECORD = ".done.json"

Tell = Callable[[float, str], None]
"""Is told how much of a step is done, 0 to 1, and what came out last."""


def unheard(done: float, text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Kind(Generic[T]):
    """How results of a kind are kept.

    Attributes:
        suffixes: of the step's files; `write` and `read` are given the path of the first one.
        write: puts a result at a path, the same bytes for the same result.
        read: returns what `write` put there; raises ValueError if it is damaged.
    """

    suffixes: tuple[str, ...]
    write: Callable[[Path, T], None]
    read: Callable[[Path], T]


@dataclass(frozen=True)
class Progress:
    """How far a computation is.

    Attributes:
        step: its name.
        place: of the step, from 1.
        steps: how many there are.
        done: of the step, 0 to 1.
        found: whether the step was read from its file.
        seconds: spent so far.
        left: seconds that the rest will take, by what was expected and how fast it went so far.
        text: what came out last.
    """

    step: str
    place: int
    steps: int
    done: float
    found: bool
    seconds: float
    left: float
    text: str


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


class Steps:
    """The steps of one computation, done in order.

    Attributes:
        folder: of their files.
    """

    def __init__(
        self,
        folder: Path,
        expected: Mapping[str, float],
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            folder: of the files; it is made if need be.
            expected: name -> seconds of all steps that will be asked for, in their order.
            progress: is told of the beginning of a step, of what is heard of it, and of its end.
        """
        self.folder = folder
        self._expected, self._progress = dict(expected), progress
        self._digests: dict[str, str] = {}
        self._began = time.perf_counter()
        self._worth = self._spent = 0.0
        self._name, self._at = "", self._began

    def do(
        self,
        name: str,
        kind: Kind[T],
        told: Mapping[str, Any],
        uses: Sequence[str],
        make: Callable[[], T],
    ) -> T:
        """Return the result of a step: from its file if it is there, else made and written.

        Args:
            name: of the step and of its files.
            kind: how its result is kept.
            told: the parameters that the result depends on; JSON values.
            uses: names of the steps before that it depends on.
            make: does it.

        Raises:
            ValueError: the files of the step are damaged; the message says what to remove.
            OSError: a file cannot be written.
        """
        self._name, self._at = name, time.perf_counter()
        used = {other: self._digests[other] for other in uses}
        identity = digest({"format": FORMAT, "step": name, "told": told, "uses": used})
        files = [self.folder / f"{name}{suffix}" for suffix in kind.suffixes]
        record = self.folder / f"{name}{RECORD}"
        found = self._is_done(record, identity, files)
        if not found:
            self.tell(0.0, "")
            record.unlink(missing_ok=True)
            kind.write(files[0], make())
            digests = {path.name: digest_of(path) for path in files}
            write_json(record, {"identity": identity, "files": digests})
            self._worth += self._expected.get(name, 0.0)
            self._spent += time.perf_counter() - self._at
        result = _read(kind, files[0], record)
        self._digests[name] = digest([digest_of(path) for path in files])
        self._expected.pop(name, None)
        self._report(1.0, found, "")
        return result

    def expect(self, expected: Mapping[str, float]) -> None:
        """Say anew which steps will be asked for; those that are done may be among them."""
        self._expected = {n: s for n, s in expected.items() if n not in self._digests}

    def tell(self, done: float, text: str) -> None:
        """Pass on how far the present step is; for use by what makes a result."""
        self._report(done, False, text)

    def _is_done(self, record: Path, identity: str, files: Sequence[Path]) -> bool:
        if not record.exists() or not all(path.exists() for path in files):
            return False
        told = _record(record)
        if told["identity"] != identity:
            return False
        for path in files:
            if told["files"].get(path.name) != digest_of(path):
                raise ValueError(
                    f"{path}: is not the file that {record.name} tells of; "
                    f"remove {path} to have it made again"
                )
        return True

    def _report(self, done: float, found: bool, text: str) -> None:
        if self._progress is None:
            return
        now = time.perf_counter()
        over = self._name not in self._expected
        own = 0.0 if over else self._expected[self._name]
        pace = self._spent / self._worth if self._worth > 0.0 else 1.0
        if done > 0.0 and own > 0.0 and not self._worth:
            pace = (now - self._at) / (done * own)
        left = (sum(self._expected.values()) - done * own) * pace
        count = len(self._digests) + len(self._expected)
        place = len(self._digests) + (not over)
        self._progress(
            Progress(self._name, place, count, done, found, now - self._began, left, text)
        )


def _record(path: Path) -> dict[str, Any]:
    try:
        told = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; remove {path} to have the step done again") from None
    if not isinstance(told.get("identity"), str) or not isinstance(told.get("files"), dict):
        raise ValueError(
            f"{path}: must have identity and files; remove {path} to have the step done again"
        )
    return told


def _read(kind: Kind[T], path: Path, record: Path) -> T:
    """Read a result whose file is as it was written; what is wrong with it then is its content."""
    try:
        return kind.read(path)
    except (LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        where = "" if str(path) in reason else f"{path}: "
        raise ValueError(f"{where}{reason}; remove {record} to have the step done again") from None
