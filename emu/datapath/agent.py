"""The agent: answers a datapath's intervals with any controller that acts once per interval.

It calls the hooks that the simulators call, with the same rows, and hands the rate they leave
to the kernel. The answer counts from the first ACK after it: some tens of microseconds late, which
the simulator's controllers never are. Only what is told per interval can be answered, so
controllers with `on_ack` or `on_loss`, and oracles, are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from emu.datapath.loading import Datapath
from emu.datapath.problems import DatapathError
from emu.datapath.records import (
    BEGAN,
    ENDED,
    INTERVAL,
    RECORD,
    STARTED,
    flow_row,
    interval_row,
    start_row,
)
from emu.datapath.settings import Settings
from policies.congestion import base

_MOST_BPS = 10**12
_MOST_US = 2**31
_MOST_PACKETS = 2**31


class Agent:
    """One controller for all flows of a datapath.

    Args:
        controller: a class of `policies.congestion`.
        parameters: of the controller; defaults are filled in.
        start_bps: what `init` is told as the proposed rate; NaN: none.

    Raises:
        DatapathError: the controller cannot be asked from outside the kernel.
        ValueError: a parameter is unknown or out of range; the message names it.
    """

    def __init__(
        self,
        controller: Any,
        parameters: Mapping[str, float] | None = None,
        start_bps: float = math.nan,
    ) -> None:
        per_packet = [n for n in ("on_ack", "on_loss") if getattr(controller, n) is not None]
        if per_packet or controller.oracle:
            why = f"has {' and '.join(per_packet)}" if per_packet else "is an oracle"
            raise DatapathError(
                f"controller {controller.name!r} {why}; an agent answers monitor intervals only"
            )
        self.controller = controller
        self._constants = np.ascontiguousarray(controller.constants(parameters or {}), np.float64)
        self._start_bps = start_bps
        self._states: dict[int, Any] = {}
        self._turns: dict[int, int] = {}
        self._compile()

    def settings(self, name: str) -> Settings:
        """Return settings of a datapath for this agent, under this name."""
        return Settings(
            name=name,
            by_sent=self.controller.attribution == base.SENT,
            tell_starts=self.controller.on_interval_start is not None,
        )

    def serve(self, datapath: Datapath, timeout_ms: int = 100) -> list[Any]:
        """Answer what came, waiting at most so long for the first; return the records.

        Raises:
            DatapathError: the controller left something that is not a rate. Whatever a hook raises.
        """
        records = datapath.poll(timeout_ms)
        for record in records:
            self._answer(datapath, record)
        return records

    def _answer(self, datapath: Datapath, record: Any) -> None:
        flow, kind = int(record["flow"]), int(record["kind"])
        if kind == ENDED:
            self._states.pop(flow, None)
            self._turns.pop(flow, None)
            return
        if kind == BEGAN:
            self._states[flow] = np.zeros(len(self.controller.state))
            self._states[flow][base.SEED] = flow + 1.0
            self._turns[flow] = 0
            self._call("init", flow, flow_row(record, self._start_bps))
        elif flow not in self._states:
            return  # it began before anybody listened
        elif kind == INTERVAL and self.controller.on_interval is not None:
            self._call("on_interval", flow, interval_row(record))
        elif kind == STARTED and self.controller.on_interval_start is not None:
            self._call("on_interval_start", flow, start_row(record))
        else:
            return
        self._steer(datapath, flow)

    def _call(self, hook: str, flow: int, row: Any) -> None:
        getattr(self.controller, hook)(self._states[flow], row, self._constants)

    def _steer(self, datapath: Datapath, flow: int) -> None:
        state = self._states[flow]
        rate, window = state[base.PACING_BPS], state[base.CWND]
        length, packets = state[base.INTERVAL_NS], state[base.INTERVAL_PACKETS]
        if not (rate > 0.0 and window > 0.0 and length >= 0.0 and packets >= 0.0):
            raise DatapathError(
                f"controller {self.controller.name!r} left pacing_bps {rate}, cwnd {window}, "
                f"interval_ns {length}, interval_packets {packets}; the first two must be above 0"
            )
        self._turns[flow] += 1
        datapath.steer(
            flow,
            self._turns[flow],
            max(1, int(min(rate, _MOST_BPS))),
            int(min(max(length / 1e3, 1.0), _MOST_US)) if length > 0.0 else 0,
            math.ceil(min(packets, _MOST_PACKETS)),
            0 if math.isinf(window) else max(1, int(min(window, _MOST_PACKETS))),
        )

    def _compile(self) -> None:
        """Call each hook once, on rows that nobody looks at: compiling takes seconds."""
        record = np.zeros((), RECORD)
        record["packet_bytes"], record["payload_bytes"] = 1514, 1448
        record["end_us"] = record["rtt_sum_us"] = record["least_rtt_us"] = 10_000
        record["min_rtt_us"] = record["srtt_us"] = 10_000
        record["sent"] = record["acked"] = 1
        record["interval_rate_bps"] = 1_000_000
        self._states[-1] = np.zeros(len(self.controller.state))
        self._call("init", -1, flow_row(record, 1e6))
        if self.controller.on_interval_start is not None:
            self._call("on_interval_start", -1, start_row(record))
        if self.controller.on_interval is not None:
            self._call("on_interval", -1, interval_row(record))
        del self._states[-1]
