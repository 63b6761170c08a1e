"""The project's own shaper: one relay process for all shaped cables of a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emu.problems import EmulationError
from emu.relay.account import read
from emu.relay.arguments import Direction, Options, check
from emu.relay.process import RelayProcess, choose
from emu.shapers.base import Counters, Key, Middle, Popen
from sim.net.links import Link

NODE = "relay"


class RelayShaper:
    """Links by the relay.

    Args:
        folder: for its files.
        implementation: "auto", "c" or "python".
        spin_ns: it stays awake for that long before a packet is due: less late by some 10 us at
            20,000, for a sixth of a core more at 100 Mbit/s.
        sample_ns: time between samples of the queues; 0: none.
        account: whether it keeps an account of packets.

    Attributes:
        realtime: whether it runs at real-time priority; known once it has started.
    """

    name = "relay"

    def __init__(
        self,
        folder: Path,
        implementation: str = "auto",
        spin_ns: int = 0,
        sample_ns: int = 0,
        account: bool = False,
    ) -> None:
        self._program, self.told = choose(implementation)
        self._folder = folder
        self._samples = folder / "queues.jsonl"
        samples = str(self._samples) if sample_ns else ""
        self._packets = folder / "packets"
        packets = str(self._packets) if account else ""
        self._options = Options(spin_ns, True, sample_ns, samples, packets)
        self._keys: list[Key] = []
        self._relay: RelayProcess | None = None
        self.realtime = False

    @staticmethod
    def refuse(link: Link) -> None:
        """Raise EmulationError or ScenarioError if a link is none that the relay can be."""
        check(link)

    def node(self, index: int) -> str:
        """Return the one node of the relay."""
        return NODE

    def start(self, popen: Popen, middles: Sequence[Middle]) -> None:
        """Start the relay on its node."""
        directions = []
        for m in middles:
            directions.append(Direction(m.forward, m.seeds[0], m.left, m.right))
            directions.append(Direction(m.backward, m.seeds[1], m.right, m.left))
            self._keys += [(m.name, "forward"), (m.name, "backward")]

        def start(argv: list[str], **options: Any) -> Any:
            return popen(NODE, argv, **options)

        self._relay = RelayProcess(start, self._program, self._options, directions, self._folder)
        self.realtime = self._relay.realtime

    def counters(self) -> dict[Key, Counters]:
        """Return the counters of all directions, as they are now."""
        return self._ask("counters")

    def restart(self) -> None:
        """Drop what is held; counters, random losses and capacity traces begin anew."""
        self._ask("restart")

    def queues(self) -> list[dict[str, Any]]:
        """Return the samples since the start: time_ns, and of each direction packets and bytes.

        Directions are in the order of the cables, forward before backward. `time_ns` counts from
        the last restart, so it falls where there was one.
        """
        if not self._options.samples:
            return []
        self._ask("counters")  # it flushes the file first
        lines = self._samples.read_text(encoding="ascii").splitlines()
        return [json.loads(line) for line in lines]

    def packets(self, cable: str, way: str) -> NDArray[np.void]:
        """Return the account of a cable's direction since the last restart, in order of arrival.

        Raises:
            EmulationError: no account was asked for.
        """
        if not self._options.packets:
            raise EmulationError("the relay keeps no account; build the network with account=True")
        self._ask("counters")  # it flushes the file first
        rows = read(self._packets)
        return rows[rows["link"] == self._keys.index((cable, way))]

    def cpu_s(self) -> float:
        """Return the CPU time that the relay has used, s."""
        return self._relay.cpu_s() if self._relay is not None else 0.0

    def stop(self) -> None:
        """End the relay; its last counters stay."""
        if self._relay is not None:
            self._relay.stop()

    def _ask(self, command: str) -> dict[Key, Counters]:
        assert self._relay is not None, "start() comes first"
        links = self._relay.ask(command)["links"]
        return {key: _counters(link) for key, link in zip(self._keys, links, strict=True)}


def _counters(link: dict[str, int]) -> Counters:
    given = dict(link)
    left = given["delivered"] + given["failed"]
    late_sum = given.pop("late_sum_ns")
    del given["in_bytes"]
    return Counters(late_mean_ns=late_sum / left if left else 0.0, **given)
