"""What all trace readers share: the trace type, careful reading, one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the catalogue must not load numba
    from serving.pool import Workload

MAX_BYTES = 4_000_000_000
MAX_ROWS = 5_000_000
MAX_TOKENS = 10_000_000


class TraceError(ValueError):
    """A trace cannot be read.

    Attributes:
        path: the file.
        row: line number from 1, or None where the fault is the whole file's.
        field: name of the field, or None.
        message: what is wrong and what is allowed.
    """

    def __init__(self, path: Path, row: int | None, field: str | None, message: str) -> None:
        self.path, self.row, self.field, self.message = Path(path), row, field, message
        place = "" if row is None else f", row {row}"
        name = "" if field is None else f", field {field!r}"
        super().__init__(f"{path}{place}{name}: {message}")


@dataclass(frozen=True, eq=False)
class Trace:
    """n requests as a file gives them.

    Attributes:
        prompt_tokens: int64[n].
        output_tokens: int64[n].
        arrival_ns: int64[n], not falling.
        hash_tokens: tokens per hashed block, or 0 if the file tells nothing of contents.
        hashes: int64 block hashes, concatenated; a last, partly filled block may be among them.
        hash_offsets: int64[n + 1] into `hashes`.
        tokens: lists of token ids, or None.
        failed: rows left out because their requests failed.
    """

    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    hash_tokens: int = 0
    hashes: NDArray[np.int64] | None = None
    hash_offsets: NDArray[np.int64] | None = None
    tokens: tuple[NDArray[np.int64], ...] | None = None
    failed: int = 0

    def workload(self, block_tokens: int, origin: str) -> Workload:
        """Return the trace as a workload with blocks of `block_tokens`.

        Raises:
            ValueError: `block_tokens` does not divide the trace's own block size.
        """
        from serving.pool import RequestPool, Workload

        if self.failed:
            origin = f"{origin}; {self.failed} failed requests left out"
        if self.tokens is not None:
            pool = RequestPool.from_tokens(self.tokens, block_tokens, self.arrival_ns)
        else:
            hashes = self._full_block_hashes(block_tokens)
            arguments = (self.prompt_tokens, hashes, block_tokens, self.arrival_ns)
            pool = RequestPool.from_hashes(*arguments)
        return Workload.of(pool, self.output_tokens, origin)

    def _full_block_hashes(self, block_tokens: int) -> NDArray[np.int64]:
        """Cut the file's blocks into ours; without hashes every block is unique."""
        counts = self.prompt_tokens // block_tokens
        if self.hashes is None or self.hash_offsets is None:
            return np.arange(counts.sum())
        if self.hash_tokens % block_tokens:
            raise ValueError(f"block_tokens must divide {self.hash_tokens}, got {block_tokens}")
        parts = self.hash_tokens // block_tokens
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        own = self.hashes[np.repeat(self.hash_offsets[:-1], counts) + place // parts]
        return own * parts + place % parts


def read_rows(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, text without its end) of a UTF-8 file, blank lines left out.

    Raises:
        TraceError: no such file, empty, too large, too many rows, or not UTF-8.
    """
    if not path.is_file():
        raise TraceError(path, None, None, "is not a file")
    size = path.stat().st_size
    if size == 0:
        raise TraceError(path, None, None, "is empty")
    if size > MAX_BYTES:
        raise TraceError(path, None, None, f"has {size} bytes; at most {MAX_BYTES} are read")
    with path.open("rb") as file:
        for row, raw in enumerate(file, start=1):
            if row > MAX_ROWS:
                raise TraceError(path, row, None, f"more than {MAX_ROWS} rows")
            if text := _decode(path, row, raw).strip("\r\n \t\ufeff"):
                yield row, text


def _decode(path: Path, row: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {raw[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        raise TraceError(path, row, None, message) from None


def count(path: Path, row: int, field: str, value: object, least: int = 1) -> int:
    """Return a token count, from text or from JSON.

    Raises:
        TraceError: it is no whole number between `least` and `MAX_TOKENS`.
    """
    allowed = f"allowed are whole numbers from {least} to {MAX_TOKENS}"
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value) if len(value) < 20 else MAX_TOKENS + 1
    if isinstance(value, bool) or not isinstance(value, int):
        raise TraceError(path, row, field, f"{_short(value)} is not a whole number; {allowed}")
    if not least <= value <= MAX_TOKENS:
        raise TraceError(path, row, field, f"{_short(value)} is out of range; {allowed}")
    return value


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= 40 else text[:37] + "..."


def checked_arrival(path: Path, row: int, field: str, value: float, last_ns: int) -> int:
    """Return nanoseconds, not before `last_ns`.

    Raises:
        TraceError: not finite, out of range, or time goes back.
    """
    if not np.isfinite(value) or not 0 <= value < 2**62:
        raise TraceError(path, row, field, f"{_short(value)} ns is no time from 0 to 146 years")
    if int(value) < last_ns:
        raise TraceError(path, row, field, "time goes back; rows must be sorted by arrival")
    return int(value)


def finished(path: Path, prompts: list[int], outputs: list[int], arrivals: list[int]) -> Trace:
    """Return a trace without contents.

    Raises:
        TraceError: there is no request.
    """
    if not prompts:
        raise TraceError(path, None, None, "holds no request")
    columns = [np.array(values, np.int64) for values in (prompts, outputs, arrivals)]
    return Trace(prompt_tokens=columns[0], output_tokens=columns[1], arrival_ns=columns[2])
