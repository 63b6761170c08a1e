"""Times for candidates: compiled in parallel, run in a worker that may die, interleaved."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from tuning.compile import Compiled, ObjectCache
from tuning.operators import Operator
from tuning.profile.board import NOBODY
from tuning.profile.client import Client, WorkerLostError
from tuning.profile.lock import measuring
from tuning.profile.memory import require_memory, wanted_output
from tuning.profile.settings import ProfileSettings
from tuning.profile.stopwatch import stopwatch_source
from tuning.space import OUT_OF_BUDGET, Candidate, Measurement
from tuning.templates.base import Source, TemplateLibrary

_LONGEST_S = 1e9


@dataclass
class _Item:
    """One candidate on its way; `result` is None until its fate is known."""

    candidate: Candidate
    source: Source | None = None
    compiled: Compiled = field(default_factory=lambda: Compiled(None))
    checked: bool = False
    recompiled: bool = False
    result: Measurement | None = None

    def end(self, status: str, message: str, measure_s: float = 0.0) -> None:
        self.result = Measurement(
            self.candidate,
            status,
            compile_s=self.compiled.seconds,
            measure_s=measure_s,
            message=message,
        )


# paper: bolt 3.2.2
class Profiler:
    """Measures candidates of one template library (Bolt section 3.2.2).

    Args:
        library: renders candidates, and rejects those that are not legal.
        settings: how times are taken.
        objects: where compiled candidates are kept.

    Attributes:
        waited_s: seconds, so far, of waiting for other measurements on this machine.
    """

    def __init__(
        self,
        library: TemplateLibrary,
        settings: ProfileSettings,
        objects: ObjectCache | None = None,
    ) -> None:
        self.library, self.settings = library, settings
        self.objects = objects or ObjectCache()
        self.waited_s = 0.0
        self._client: Client | None = None
        self._published: Operator | None = None

    def __enter__(self) -> Profiler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker. The profiler can be used again afterwards."""
        if self._client is not None:
            self._client.close()
        self._client = self._published = None

    def measure(
        self,
        operator: Operator,
        candidates: Sequence[Candidate],
        seconds: float = math.inf,
        samples: int | None = None,
    ) -> list[Measurement]:
        """Return what became of each candidate, in the same order.

        Candidates of one call take turns under the stopwatch; a candidate that is named twice is
        measured once. Never raises for what a candidate does: that is its status.

        Args:
            operator: what they compute.
            candidates: of the library.
            seconds: after about this time the rest is answered `rejected`, "out of budget". Waiting
                for another profiler on this machine does not count.
            samples: per candidate, if not as the settings say.

        Raises:
            ProgramError: the compiler of the stopwatch does not work.
            OSError: the lock of this machine cannot be taken.
            TooLargeError: the operator does not fit the memory of this machine.
        """
        if candidates:
            require_memory(operator)
        deadline = time.monotonic() + min(seconds, _LONGEST_S)
        items = {candidate: _Item(candidate) for candidate in candidates}
        self._compile(operator, list(items.values()), deadline)
        if any(item.result is None for item in items.values()):
            client = self._ready(operator)
            before = time.monotonic()
            with measuring():
                waited_s = time.monotonic() - before
                self.waited_s += waited_s
                deadline += waited_s
                settings = replace(self.settings, samples=samples or self.settings.samples)
                self._run(operator, list(items.values()), client, deadline, settings)
        return [_result(items[candidate]) for candidate in candidates]

    def _compile(self, operator: Operator, items: list[_Item], deadline: float) -> None:
        for item in items:
            if reason := self._reason(operator, item):
                item.end("rejected", reason)
        wanted = [(item, item.source) for item in items if item.source is not None]
        made = self.objects.compile([source for _, source in wanted], deadline=deadline)
        paid = set()
        for (item, source), compiled in zip(wanted, made, strict=True):
            # Candidates that share an object do not each pay for it.
            first = source.digest not in paid
            item.compiled = compiled if first else replace(compiled, seconds=0.0)
            paid.add(source.digest)
            if compiled.path is None:
                late = compiled.message == OUT_OF_BUDGET
                item.end("rejected" if late else "compile_error", compiled.message)

    def _reason(self, operator: Operator, item: _Item) -> str | None:
        """Render; return why there is nothing to compile, or None."""
        try:
            if reason := self.library.rejected(operator, item.candidate):
                return reason
            item.source = self.library.render(operator, item.candidate)
        except (KeyError, ValueError, TypeError) as error:
            return f"is no candidate of {self.library.name}: {type(error).__name__}: {error}"
        return None

    def _ready(self, operator: Operator) -> Client:
        """Return the client, with the reference's numbers on its board."""
        if self._client is None:
            made = self.objects.require(stopwatch_source())
            evict_bytes = self.settings.evict_bytes(self.library.device.l3_bytes)
            self._client = Client(self.settings, made, evict_bytes)
        if self.settings.check and self._published != operator:
            self._published = None
            self._client.board.publish(wanted_output(operator, self.settings.seed))
            self._published = operator
        return self._client

    def _run(
        self,
        operator: Operator,
        items: list[_Item],
        client: Client,
        deadline: float,
        settings: ProfileSettings,
    ) -> None:
        """Measure until every item has a result; each request settles at least one."""
        groups = [list(range(len(items)))]
        while groups:
            waiting = [index for index in groups.pop() if items[index].result is None]
            if not waiting:
                continue
            groups.append(waiting)  # what is left of it then
            request = {
                "operator": operator.to_dict(),
                "settings": settings.to_dict(),
                "seconds": max(0.0, deadline - time.monotonic()),
                "candidates": [_row(index, items[index]) for index in waiting],
            }
            try:
                for event in client.ask(request):
                    self._note(items[event["index"]], event)
            except WorkerLostError as lost:
                if lost.index == NOBODY and lost.status == "crashed" and len(waiting) > 1:
                    groups[-1:] = [[index] for index in reversed(waiting)]  # who was it?
                    continue
                for index in [lost.index] if lost.index in waiting else waiting:
                    if items[index].result is None:
                        items[index].end(lost.status, str(lost))

    def _note(self, item: _Item, event: dict[str, Any]) -> None:
        """Take in one event of the worker."""
        if event.get("checked"):
            item.checked = True
        elif event["status"] == "unloadable":
            self._reload(item, event)
        elif event["status"] == "ok":
            taken = {k: v for k, v in event.items() if k != "index"}
            item.result = Measurement(item.candidate, **taken, compile_s=item.compiled.seconds)
        else:
            item.end(event["status"], event["message"], event["measure_s"])

    def _reload(self, item: _Item, event: dict[str, Any]) -> None:
        """Compile anew, once, what could not be loaded: the object in the cache was damaged."""
        if item.recompiled or item.source is None:
            item.end("crashed", f"cannot be loaded: {event['message']}", event["measure_s"])
            return
        item.recompiled = True
        self.objects.discard(item.source)
        item.compiled = self.objects.compile([item.source])[0]
        if item.compiled.path is None:
            item.end("compile_error", item.compiled.message)


def _row(index: int, item: _Item) -> dict[str, Any]:
    return {
        "index": index,
        "path": str(item.compiled.path),
        "candidate": item.candidate.to_dict(),
        "ok": item.checked,
    }


def _result(item: _Item) -> Measurement:
    if item.result is None:
        raise AssertionError("a candidate was neither measured nor refused")
    return item.result
