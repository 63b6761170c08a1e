"""Laps of mixed flows, some killed in the middle, with loaders killed beside them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from emu.datapath.leftovers import Held, held_by, still_there
from emu.soak import loaders, outside
from emu.world.inside import folder
from experiments.paths import ROOT

MARKER = "TRIPTYCH_SOAK"
LAP_S = 8.0
KILL_EVERY = 3
"""One lap in so many is killed at a random moment."""
_BUILD_S = 8.0
_SPARE_S = 90.0
_PATIENCE_S = 20.0


@dataclass
class Told:
    """What a soak found.

    Attributes:
        laps: how many ran to their end.
        killed: how many were killed.
        loaders: how many loaders were started and killed.
        refused: laps that refused to report, for the machine was too busy; the reasons.
        leaks: what was left over, a line each; empty where all is well.
        arrived: bytes per flow, over all laps.
        seen: programs, maps and links of eBPF that were noted and looked for later.
    """

    laps: int = 0
    killed: int = 0
    loaders: int = 0
    refused: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    arrived: dict[str, int] = field(default_factory=dict)
    seen: int = 0


def soak(
    seconds: float,
    seed: int,
    say: Callable[[dict[str, Any]], None],
    lap_s: float = LAP_S,
    kill_every: int = KILL_EVERY,
) -> Told:
    """Strain emulation and datapath for so long, and look after every lap for what is left.

    Args:
        seconds: how long; the lap that has begun is finished.
        seed: of all that is random.
        say: called after each lap with its number, what happened and what leaked.
        lap_s: for how long the flows of a lap last.
        kill_every: one lap in so many is killed at a random moment.
    """
    told, draws = Told(), random.Random(seed)
    end, number = time.monotonic() + seconds, 0
    with _entries_apart():
        before = _outside()
        while time.monotonic() < end:
            killed = number % kill_every == kill_every - 1
            kill_after = draws.uniform(0.0, lap_s + _BUILD_S) if killed else None
            row = _lap(told, draws, lap_s, kill_after)
            leaks = [*row.pop("leaks"), *outside.changed(before, _outside())]
            leaks += loaders.files_left()
            told.leaks += leaks
            say({"lap": number, **row, "leaks": leaks})
            number += 1
    return told


def _outside() -> dict[str, str]:
    """Return what no lap may change; the folder of private worlds is empty to those outside."""
    names = sorted(path.name for path in folder().glob("*"))
    return {**outside.state(), "files of worlds": "\n".join(names)}


@contextlib.contextmanager
def _entries_apart() -> Iterator[None]:
    """Have loaders enter themselves in a folder of their own, not among the machine's."""
    kept = os.environ.get("TRIPTYCH_RUN")
    with tempfile.TemporaryDirectory(prefix="triptych-soak-") as place:
        os.environ["TRIPTYCH_RUN"] = place
        try:
            yield
        finally:
            del os.environ["TRIPTYCH_RUN"]
            if kept is not None:
                os.environ["TRIPTYCH_RUN"] = kept


def _lap(
    told: Told, draws: random.Random, lap_s: float, kill_after: float | None
) -> dict[str, Any]:
    """Run a lap with loaders beside it; return what came of it and what it left."""
    marker = uuid.uuid4().hex
    environment = {**os.environ, MARKER: marker}
    command = [sys.executable, "-m", "emu.soak.lap", str(lap_s), str(draws.randrange(2**31))]
    began, leaks, held = time.monotonic(), [], set[Held]()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None:
            passed = time.monotonic() - began
            held |= _held(marker)
            if passed > lap_s + _SPARE_S or (kill_after is not None and passed >= kill_after):
                process.send_signal(signal.SIGKILL)
                break
            leaks += loaders.once(draws, environment)
            told.loaders += 1
        assert process.stdout is not None
        text = process.stdout.read() if process.wait() >= 0 else ""
    left = outside.marked(marker, _PATIENCE_S)
    leaks += [f"process {words}" for words in left]
    leaks += [
        f"{kind} {number} of a lap" for kind, number in sorted(still_there(held, _PATIENCE_S))
    ]
    told.seen += len(held)
    return {"killed": not text, "leaks": leaks, **_take(told, text)}


def _held(marker: str) -> set[Held]:
    return {one for pid in outside.pids_of(marker) for one in held_by(pid)}


def _take(told: Told, text: str) -> dict[str, Any]:
    """Enter what a lap printed; nothing where it was killed."""
    if not text:
        told.killed += 1
        return {}
    answer = json.loads(text)
    if "refused" in answer:
        told.refused.append(answer["refused"])
        return answer
    told.laps += 1
    for name, count in answer["arrived"].items():
        told.arrived[name] = told.arrived.get(name, 0) + count
    return answer
