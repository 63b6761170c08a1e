"""What happened to the packets of a flow: totals, histogram of queueing delays, series, trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.net import result
from sim.net.reference.packet import Packet
from sim.net.scenario import Scenario

_LAST_EXACT = 64
_PER_OCTAVE = 32


def wait_bin(wait_ns: int) -> int:
    """Return the bin of `result.wait_bin_edges` that a queueing delay falls into."""
    if wait_ns < _LAST_EXACT:
        return wait_ns
    octave = wait_ns.bit_length() - 1
    return _LAST_EXACT + (octave - 6) * _PER_OCTAVE + (wait_ns >> (octave - 5)) - _PER_OCTAVE


class Trace:
    """The trace of a run, if one is asked for."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self._rows: list[tuple[int, int, int, int, int, float, float]] = []

    def note(
        self,
        time_ns: int,
        kind: int,
        flow: int,
        number: int,
        value: int,
        cwnd: float = 0.0,
        pacing_bps: float = 0.0,
    ) -> None:
        """Add a row of `result.TRACE`; window and rate are 0 where the controller has no part."""
        if self.wanted:
            self._rows.append((time_ns, kind, flow, number, value, cwnd, pacing_bps))

    def array(self) -> Any:
        """Return the trace in its order, or None if it was not wanted."""
        if not self.wanted:
            return None
        rows = sorted(self._rows, key=lambda row: row[:4])
        return np.array(rows, result.TRACE)


class Account:
    """The books of one flow."""

    def __init__(self, scenario: Scenario, flow: int, payload: int | None, trace: Trace) -> None:
        """Open the books; `payload` are bytes per packet, None: all of a packet is payload."""
        self._flow = flow
        self._payload = payload
        self._trace = trace
        self._from_ns = scenario.measure_from_ns
        self._bin_ns = scenario.bin_ns
        bins = -(-scenario.duration_ns // scenario.bin_ns) if scenario.bin_ns else 0
        self.series = [[0] * len(result.SERIES) for _ in range(bins)]
        self.totals = [0] * len(result.TOTALS)
        self.waits = [0] * result.WAIT_BINS

    def count(self, now_ns: int, column: int, amount: int = 1) -> None:
        """Add to a total, if the measured window has begun."""
        if now_ns >= self._from_ns:
            self.totals[column] += amount

    def sent(self, packet: Packet, inflight: int) -> None:
        """Enter that a packet was sent."""
        now = packet.sent_ns
        self.totals[result.ALL_SENT] += 1
        self.count(now, result.SENT)
        if self._bin_ns:
            self._bin(now)[result.S_SENT] += 1
        if self._trace.wanted:
            self._trace.note(now, result.T_SEND, self._flow, packet.number, inflight)

    def dropped(self, packet: Packet, link: int, cause: int, now_ns: int) -> None:
        """Enter that a link dropped a packet; `cause` is an index in `result.CAUSES`."""
        self.totals[result.ALL_DROPPED] += 1
        self.count(now_ns, result.DROPPED_LOSS + cause)
        if self._bin_ns:
            self._bin(now_ns)[result.S_DROPPED] += 1
        self._trace.note(now_ns, result.T_DROP, self._flow, packet.number, 8 * link + cause)

    def delivered(self, packet: Packet) -> None:
        """Enter that a packet has left its last link."""
        now, wait, totals = packet.delivered_ns, packet.wait_ns, self.totals
        payload = packet.bytes if self._payload is None else self._payload
        totals[result.ALL_DELIVERED] += 1
        if now >= self._from_ns:
            totals[result.DELIVERED] += 1
            totals[result.DELIVERED_BYTES] += packet.bytes
            totals[result.PAYLOAD_BYTES] += payload
            totals[result.WAIT_SUM_NS] += wait
            totals[result.WAIT_MAX_NS] = max(totals[result.WAIT_MAX_NS], wait)
            self.waits[wait_bin(wait)] += 1
        if self._bin_ns:
            row = self._bin(now)
            row[result.S_DELIVERED] += 1
            row[result.S_WAIT_SUM_NS] += wait
            row[result.S_PAYLOAD_BYTES] += payload
        if self._trace.wanted:
            self._trace.note(now, result.T_DELIVER, self._flow, packet.number, wait)

    def _bin(self, time_ns: int) -> list[int]:
        return self.series[min(time_ns // self._bin_ns, len(self.series) - 1)]
