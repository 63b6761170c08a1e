"""What can go wrong with the datapath, each in one line that says what to do."""

from __future__ import annotations


class DatapathError(RuntimeError):
    """The datapath cannot be built, loaded or read; the message says why and what to do."""


class RefusedError(DatapathError):
    """The kernel's verifier refused the program; `log` is all that it said."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log
