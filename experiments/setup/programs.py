"""The one way to call an external program: argument list, no shell, bounded time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.setup.packages import PROGRAMS, find_program


class ProgramError(RuntimeError):
    """An external program is missing, failed or took too long; the message says which."""


class ProgramMissingError(ProgramError):
    """The program is not on this machine; the message names the Debian package."""


class ProgramFailedError(ProgramError):
    """The program ended with an exit code other than 0, kept in `returncode`."""

    def __init__(self, message: str, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode


class ProgramTimeoutError(ProgramError):
    """The program ran past its time and was ended, with all that it had started."""


def locate(name: str) -> str:
    """Return the path of a program by name, or of a path as it stands.

    Raises:
        ProgramMissingError: it is not there.
    """
    path = name if os.sep in name and os.access(name, os.X_OK) else find_program(name)
    if path is None:
        row = PROGRAMS.get(name)
        hint = f"; {row.purpose} needs it: {row.remedy}" if row else ""
        raise ProgramMissingError(f"program {name!r} not found{hint}")
    return path


def run_program(
    args: Sequence[str | Path],
    *,
    timeout_s: float,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return exit code, stdout and stderr as text.

    Args:
        args: program and arguments; nothing is interpreted by a shell.
        timeout_s: seconds after which the program and its children are killed.
        stdin: text for its standard input; nothing if None.
        env: variables set on top of this process's.
        cwd: folder to run in.
        check: whether an exit code other than 0 is an error.

    Raises:
        ProgramMissingError: there is no such program.
        ProgramFailedError: it failed, and `check` is set.
        ProgramTimeoutError: it took longer than `timeout_s`.
    """
    command = [locate(str(args[0])), *map(str, args[1:])]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | dict(env or {}),
        cwd=cwd,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise ProgramTimeoutError(f"{args[0]} took longer than {timeout_s:g} s") from None
    finally:
        if process.returncode is None:  # also when interrupted: nothing outlives the call
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    code = process.wait()
    if check and code != 0:
        last = (err.strip() or out.strip() or "no message").splitlines()[-1]
        raise ProgramFailedError(f"{args[0]} ended with exit code {code}: {last}", code)
    return subprocess.CompletedProcess(command, code, out, err)
