"""A datapath in the kernel: registered while it is open, its records read as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from emu.datapath import machine
from emu.datapath.build import OPERATIONS, build
from emu.datapath.decision import Decision
from emu.datapath.libbpf import Loaded, Ring
from emu.datapath.problems import DatapathError, RefusedError
from emu.datapath.records import ENDED, STEER, read_record
from emu.datapath.settings import Settings

MOST_NAMES = 64
Made = TypeVar("Made")


def under_free_name(prefix: str, make: Callable[[str], Made]) -> Made:
    """Return what `make` makes under the first of `prefix`0, `prefix`1, ... that is free.

    Names hold for the whole machine. There are few, so that objects are built once.

    Raises:
        DatapathError: it cannot be made, or so many are loaded already.
    """
    for slot in range(MOST_NAMES):
        name = f"{prefix}{slot}"
        if name in machine.available():
            continue
        try:
            return make(name)
        except DatapathError:
            if name not in machine.available():  # else somebody else was quicker
                raise
    raise DatapathError(f"{MOST_NAMES} datapaths are loaded already; wait until some have ended")


class Datapath:
    """Build, load and register; a context manager that takes it all back.

    Sockets in every network namespace can then ask for `settings.name` (TCP_CONGESTION). When this
    process ends, in whatever way, the kernel takes the registration back; connections that
    use it go on with it until they close.

    Attributes:
        settings: what it was made with.
        path: the object.
        missed: records that the ring had no room for.

    Raises:
        DatapathError: it cannot be built or loaded here, or the name is taken.
        RefusedError: the verifier refused the rule.
    """

    def __init__(self, settings: Settings, decision: Decision | None = None) -> None:
        machine.check_load()
        self.settings = settings
        self.path: Path = build(settings, decision)
        self.missed = 0
        self._serials: dict[int, int] = {}
        self._waiting: list[Any] = []
        if settings.name in machine.available():
            raise DatapathError(f"the name {settings.name!r} is taken; choose another with --name")
        try:
            self._loaded = Loaded(self.path, OPERATIONS)
        except RefusedError as error:
            rule = f"rule {decision.name!r}: " if decision else ""
            raise RefusedError(f"{rule}{error}", error.log) from None
        self._ring = Ring(self._loaded, "told", self._take)

    def poll(self, timeout_ms: int) -> list[Any]:
        """Return the records (scalars of RECORD) that came, waiting at most so long for the first.

        Raises:
            DatapathError: the ring cannot be read.
        """
        self._ring.poll(timeout_ms)
        found, self._waiting = self._waiting, []
        return found

    def programs(self) -> dict[str, int]:
        """Return the file descriptor of each of its programs, by name."""
        return self._loaded.programs()

    def steer(
        self, flow: int, turn: int, rate_bps: int, interval_us: int, packets: int, window: int
    ) -> None:
        """Set a flow's rate and the next interval; counts from its next ACK on.

        Args:
            flow: number of the flow, from its records.
            turn: counts the answers to this flow; one that was seen does not count again.
            rate_bps: bits/s of whole packets.
            interval_us: planned length of intervals; 0: as it is.
            packets: an interval lasts until so many were sent.
            window: packets in flight at most; 0: out of the way.

        Raises:
            DatapathError: too many flows are steered.
        """
        entry = np.array([(rate_bps, interval_us, packets, window, turn)], STEER)
        self._loaded.update("steers", np.uint32(flow).tobytes(), entry.tobytes())

    def close(self) -> None:
        """Take the registration back."""
        self._ring.close()
        self._loaded.close()

    def __enter__(self) -> Datapath:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, data: bytes) -> None:
        record = read_record(data)
        flow, serial = int(record["flow"]), int(record["serial"])
        self.missed += serial - self._serials.get(flow, 0) - 1
        self._serials[flow] = serial
        if record["kind"] == ENDED:
            del self._serials[flow]
        self._waiting.append(record)
