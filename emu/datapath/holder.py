"""The process that holds a datapath: `python -m emu.datapath.holder WHAT NAME [name=value ...]`.

It prints one line of JSON when the datapath is loaded, or why it is not, then answers or only reads
what the kernel tells. It ends on SIGTERM; whatever ends it, the kernel takes the registration back.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from emu.datapath import registry
from emu.datapath.agent import Agent
from emu.datapath.loading import Datapath
from emu.datapath.problems import DatapathError
from emu.datapath.requests import Request, read_request
from experiments.paths import ROOT

_POLL_MS = 200


class _Term:
    """Whether SIGTERM came.

    The handler raises nothing: libbpf calls back while it loads, and what is raised there is lost.
    """

    def __init__(self) -> None:
        self.came = False
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.came = True


def hold(
    request: Request, ready: Callable[[], None], told: Callable[[Any], None] | None = None
) -> None:
    """Load, and read or answer until SIGTERM or SIGINT.

    Args:
        request: what to load.
        ready: called once it is loaded.
        told: called with each record; None: nobody watches, and a rule tells nothing.

    Raises:
        DatapathError: it cannot be loaded, or the controller failed.
        KeyboardInterrupt: SIGINT came.
    """
    registry.reap()
    term = _Term()
    tells = told is not None or request.agent is not None
    settings = replace(request.settings, tells=tells)
    with Datapath(settings, request.decision) as datapath:
        entry = registry.enter(request.settings.name, request.what)
        try:
            ready()
            while not term.came:
                _read(datapath, request.agent, told)
        finally:
            registry.leave(entry)


def _read(datapath: Datapath, agent: Agent | None, told: Callable[[Any], None] | None) -> None:
    """Answer or read for a moment; where the program tells nothing, wait."""
    if not datapath.settings.tells:
        time.sleep(_POLL_MS / 1e3)
        return
    records = agent.serve(datapath, _POLL_MS) if agent else datapath.poll(_POLL_MS)
    if told is not None:
        for record in records:
            told(record)


def start(what: str, name: str | None, parameters: Sequence[str]) -> dict[str, Any]:
    """Start a process that holds a datapath and outlives this one; return what it said.

    Raises:
        DatapathError: it could not be loaded; the message is the process's.
    """
    command = [sys.executable, "-m", "emu.datapath.holder", what, name or "", *parameters]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        line = said.readline()
    try:
        answer = json.loads(line)
    except ValueError:
        code = process.wait()
        raise DatapathError(f"the process that holds the datapath ended with {code}") from None
    if "error" in answer:
        process.wait()
        raise DatapathError(answer["error"])
    process.returncode = 0  # it is on its own from here; nothing waits for it
    return answer


def main(arguments: Sequence[str]) -> int:
    """Hold what the arguments say; return the exit code."""
    what, name, *parameters = arguments

    def say(**answer: Any) -> None:
        print(json.dumps(answer), flush=True)

    try:
        request = read_request(what, name or None, parameters)
        hold(
            request,
            lambda: say(name=request.settings.name, what=request.what),
        )
    except (DatapathError, OSError) as error:
        say(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
