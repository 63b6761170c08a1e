"""A running relay: starts the program on a node, asks for its counters, ends it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emu.problems import EmulationError
from emu.relay import build
from emu.relay.arguments import Direction, Options, words

END_S = 5.0


def choose(implementation: str = "auto") -> tuple[list[str], str]:
    """Return the program that relays, and one line that says which and why.

    Args:
        implementation: "c", "python", or "auto": C if it can be compiled.

    Raises:
        EmulationError: there is no such implementation, or C was asked for and does not compile.
    """
    python = [sys.executable, "-m", "emu.relay.twin"]
    if implementation == "python":
        return python, "link relay in Python"
    if implementation not in ("c", "auto"):
        raise EmulationError(f"relay must be auto, c or python, got {implementation!r}")
    try:
        return [str(build.program())], "link relay in C"
    except EmulationError as error:
        if implementation == "c":
            raise
        return python, f"link relay in Python ({error}); it uses over twice the CPU"


class RelayProcess:
    """A relay and the lines that go to and fro.

    Args:
        start: starts a program on the node whose interfaces are relayed.
        program: what `choose` returned.
        options, directions: what it is to do.
        folder: for traces.

    Raises:
        EmulationError: it did not start; the message is the relay's own.
        ScenarioError: a link is out of range.
    """

    def __init__(
        self,
        start: Callable[..., subprocess.Popen[str]],
        program: Sequence[str],
        options: Options,
        directions: Sequence[Direction],
        folder: Path,
    ) -> None:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        said = words("run", options, directions, folder)
        self._process = start([*program, *said], text=True, **pipes)
        self._final: dict[str, Any] | None = None
        try:
            ready = self._answer("ready")
        except EmulationError:
            self._close()
            raise
        self.realtime = bool(ready["realtime"])

    def ask(self, command: str) -> dict[str, Any]:
        """Return the relay's counters after "counters" or "restart", or its last ones once ended.

        Raises:
            EmulationError: it has died.
        """
        if self._final is not None:
            return self._final
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        return self._answer("end" if command == "stop" else "counters")

    def cpu_s(self) -> float:
        """Return the CPU time that it has used, s; 0 once it has ended."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it, keeping its last counters."""
        if self._final is None and self._process.poll() is None:
            with contextlib.suppress(EmulationError):
                self._final = self.ask("stop")
        self._close()

    def _answer(self, kind: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise EmulationError(f"the link relay ended: {self._last_words()}")
        answer = json.loads(line)
        if answer["kind"] != kind:
            raise EmulationError(f"the link relay said {answer['kind']!r} instead of {kind!r}")
        return answer

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        self._process.kill()
        lines = self._process.stderr.read().strip().splitlines()
        return lines[-1].removeprefix("relay: ") if lines else "it said nothing"

    def _close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
            self._process.wait(END_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
