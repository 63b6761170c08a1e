"""Event rows made by hand, and a controller whose hooks are driven with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from policies.congestion.base import ACK, FLOW, INTERVAL, LOSS, SEED

SECOND = 1e9
MS = 1e6

FLOW_DEFAULTS = {
    "packet_bytes": 1514.0,
    "payload_bytes": 1448.0,
    "initial_window": 10.0,
    "start_ns": 0.0,
    "start_rate_bps": 1e6,
    "bottleneck_bps": np.nan,
    "base_rtt_ns": np.nan,
}
ACK_DEFAULTS = {"acked": 1.0, "rtt_ns": 100 * MS, "srtt_ns": 100 * MS, "min_rtt_ns": 100 * MS}
LOSS_DEFAULTS = {"lost": 1.0, "new_episode": 1.0}


def row(names: tuple[str, ...], *values: Mapping[str, float]) -> np.ndarray:
    """Return the row of columns `names`; what no mapping gives is 0, later mappings win."""
    given = {name: value for mapping in values for name, value in mapping.items()}
    assert set(given) <= set(names), set(given) - set(names)
    return np.array([given.get(name, 0.0) for name in names], np.float64)


def flow_row(controller: Any, **values: float) -> np.ndarray:
    """Return what `init` is told; an oracle sees 100 Mbit/s and 30 ms."""
    told = {"bottleneck_bps": 1e8, "base_rtt_ns": 30 * MS} if controller.oracle else {}
    return row(FLOW, FLOW_DEFAULTS, told, values)


class Driven:
    """A controller and its rows; hooks are invoked with what the caller spells out."""

    def __init__(self, controller: Any, **parameters: float) -> None:
        self.controller = controller
        self.constants = controller.constants(parameters)
        self.state = np.zeros(len(controller.state))
        self.state[SEED] = 7.0
        controller.init(self.state, flow_row(controller), self.constants)

    def ack(self, **values: float) -> float:
        """Return the window after an ACK."""
        self.controller.on_ack(self.state, row(ACK, ACK_DEFAULTS, values), self.constants)
        return self["cwnd"]

    def loss(self, **values: float) -> float:
        """Return the window after a loss that begins an episode."""
        self.controller.on_loss(self.state, row(LOSS, LOSS_DEFAULTS, values), self.constants)
        return self["cwnd"]

    def timeout(self, **values: float) -> float:
        """Return the window after a time-out."""
        return self.loss(timeout=1.0, **values)

    def interval(self, **values: float) -> None:
        """Report a monitor interval."""
        self.controller.on_interval(self.state, row(INTERVAL, values), self.constants)

    def __getitem__(self, column: str) -> float:
        return float(self.state[self.controller.state.index(column)])

    def __setitem__(self, column: str, value: float) -> None:
        self.state[self.controller.state.index(column)] = value
