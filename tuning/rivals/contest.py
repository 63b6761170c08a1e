"""Entrants side by side: each in its own process, one sample each in turn, round after round.

Own processes, because thread pools of several libraries in one disturb each other. In turn, so
that drift of the machine's speed meets all alike; the order is drawn every round. Between two
turns the parent waits until the last entrant's threads have stopped spinning. Numbers are checked
against the reference before a time counts. Python's call is part of every entrant's time.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tuning.compile import ObjectCache
from tuning.operators import Operator
from tuning.profile import ProfileSettings, measuring
from tuning.profile.stopwatch import stopwatch_source
from tuning.rivals.entrant import Entrant
from tuning.rivals.process import EntrantLostError, EntrantProcess
from tuning.rivals.timing import Timing
from tuning.templates.cpu.device import device

PREPARE_S = 300.0
"""Seconds for starting, operands, packing and the check, besides the settings' time-out."""

SETTLE_S = 0.03
"""OpenBLAS's threads spin for 2^26 cycles after a call, the longest of all pools here."""


@dataclass
class _Seat:
    """One entrant in a running contest; `ended` says why it is out."""

    entrant: Entrant
    process: EntrantProcess
    samples: list[float] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    ended: tuple[str, str] | None = None

    def timing(self) -> Timing:
        name, notes = self.entrant.name, self.facts.get("notes", "")
        version = self.facts.get("version", "")
        if self.ended is not None:
            status, message = self.ended
            return Timing(name, status=status, message=message, notes=notes, version=version)
        return Timing.of(name, self.samples, notes, version)


# paper: bolt fig 1; bolt fig 8
def contest(
    operator: Operator, entrants: Sequence[Entrant], settings: ProfileSettings
) -> dict[str, Timing]:
    """Return what became of each entrant, by name, in their order.

    An entrant that cannot compute the operator, computes it wrong, crashes or takes too long has
    that for a status; the others go on.

    Raises:
        ValueError: two entrants have one name.
        ProgramError: cold times are wanted, and what evicts caches does not compile.
    """
    names = [entrant.name for entrant in entrants]
    if len(set(names)) < len(names):
        raise ValueError(f"entrants: two have one name ({', '.join(names)})")
    job: dict[str, Any] = {"operator": operator.to_dict(), "settings": settings.to_dict()}
    if settings.cache == "cold":
        job["stopwatch"] = str(ObjectCache().require(stopwatch_source()))
        job["evict_bytes"] = settings.evict_bytes(device().l3_bytes)
    with ExitStack() as stack:
        stack.enter_context(measuring())
        seats = [
            _Seat(entrant, stack.enter_context(EntrantProcess(settings.threads)))
            for entrant in entrants
        ]
        for seat in seats:  # one after another: preparing is work too
            _prepare(seat, job | {"entrant": seat.entrant.to_dict()}, settings)
        luck = random.Random(settings.seed)
        for _ in range(settings.samples):
            for seat in luck.sample(seats, len(seats)):
                _sample(seat, settings)
    return {seat.entrant.name: seat.timing() for seat in seats}


def _prepare(seat: _Seat, job: dict[str, Any], settings: ProfileSettings) -> None:
    try:
        seat.process.send(job)
        while True:
            event = seat.process.receive(PREPARE_S + settings.timeout_s)
            if "status" in event:
                seat.ended = (str(event["status"]), str(event.get("message", "")))
                return
            if event.get("ready"):
                return
            seat.facts |= {name: str(value) for name, value in event.items()}
    except EntrantLostError as lost:
        seat.ended = (lost.status, str(lost))


def _sample(seat: _Seat, settings: ProfileSettings) -> None:
    if seat.ended is not None:
        return
    time.sleep(SETTLE_S)
    try:
        seat.process.send({"sample": True})
        found = seat.process.receive(settings.timeout_s).get("ns")
        if not isinstance(found, int | float) or not 0 < found < math.inf:
            raise EntrantLostError("crashed", f"answered {str(found)[:80]} for a time")
        seat.samples.append(float(found))
    except EntrantLostError as lost:
        seat.ended = (lost.status, str(lost))
