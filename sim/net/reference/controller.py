"""A flow's controller: its rows, its hooks, and the checks of what they leave."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from policies.congestion import base
from sim.net import policy_checks
from sim.net.problems import PolicyError
from sim.net.scenario import Flow

# An ndarray takes several times longer to be filled item by item.
_pack_ack = struct.Struct(f"{len(base.ACK)}d").pack_into
_pack_loss = struct.Struct(f"{len(base.LOSS)}d").pack_into


class Controller:
    """One flow's controller at work.

    Attributes:
        cwnd: window, packets.
        pacing_bps: pacing rate.
        has_intervals: whether it wants monitor intervals.
    """

    def __init__(self, flow: Flow, facts: Any, seed: int) -> None:
        """Prepare; `facts` is the row for `init`."""
        hooks = flow.controller_class
        self._hooks = hooks
        self._label = flow.label
        self._facts = facts
        self._constants = np.ascontiguousarray(flow.constants(), np.float64)
        self._state = np.zeros(len(hooks.state))
        self._state[base.SEED] = seed
        self._view = self._state.data
        self._on_ack, self._on_loss = hooks.on_ack, hooks.on_loss
        self._ack, self._loss = np.zeros(len(base.ACK)), np.zeros(len(base.LOSS))
        self.has_intervals = hooks.on_interval is not None
        self.cwnd = self.pacing_bps = 0.0

    @property
    def interval_ns(self) -> float:
        """Return the planned duration of the next interval."""
        return self._view[base.INTERVAL_NS]

    @property
    def interval_packets(self) -> float:
        """Return how many packets an interval waits for."""
        return self._view[base.INTERVAL_PACKETS]

    def begin(self, now: int) -> None:
        """Invoke `init`."""
        self._invoke("init", self._hooks.init, self._facts, now)

    def acked(self, now: int, *others: float) -> None:
        """Invoke `on_ack` with the columns of `base.ACK`."""
        if self._on_ack is not None:
            _pack_ack(self._ack.data, 0, now, *others)
            self._invoke("on_ack", self._on_ack, self._ack, now)

    def lost(self, now: int, *others: float) -> None:
        """Invoke `on_loss` with the columns of `base.LOSS`."""
        if self._on_loss is not None:
            _pack_loss(self._loss.data, 0, now, *others)
            self._invoke("on_loss", self._on_loss, self._loss, now)

    def interval_ended(self, row: Any, now: int) -> None:
        """Invoke `on_interval` with a row of `base.INTERVAL`."""
        self._invoke("on_interval", self._hooks.on_interval, row, now)

    def interval_begins(self, row: Any, now: int) -> None:
        """Invoke `on_interval_start`."""
        if self._hooks.on_interval_start is not None:
            self._invoke("on_interval_start", self._hooks.on_interval_start, row, now)

    def _invoke(self, name: str, hook: Any, row: Any, now: int) -> None:
        try:
            hook(self._state, row, self._constants)
        except Exception as error:
            message = policy_checks.describe_raised(self._label, name, error, now)
            raise PolicyError(message) from error
        self.cwnd = self._view[base.CWND]
        self.pacing_bps = self._view[base.PACING_BPS]
        # `not (x > 0)` also catches NaN.
        if not (self.cwnd > 0.0 and self.pacing_bps > 0.0) or self.has_intervals:
            self._check(name, now)

    def _check(self, hook: str, now: int) -> None:
        columns = [base.CWND, base.PACING_BPS]
        columns += [base.INTERVAL_NS] if self.has_intervals else []
        wrong = [column for column in columns if not self._view[column] > 0.0]
        if self.has_intervals and not self.interval_packets >= 0.0:
            wrong.append(base.INTERVAL_PACKETS)
        if wrong:
            field, value = base.STATE[wrong[0]], self._view[wrong[0]]
            raise PolicyError(policy_checks.describe(self._label, hook, field, value, now))
