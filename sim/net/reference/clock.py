"""Simulated time on a SimPy environment, and the order of events at one instant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import simpy

# What happens inside the network comes first, so that a packet whose service begins at t does not
# wait for those that arrive at t; SERVICE includes class 0 of the model, where CoDel decides. The
# other classes of the model are HOP, ACK, TIMEOUT, INTERVAL and SEND. A delayed ACK is due after
# all deliveries of its instant, but before it must reach the sender.
SERVICE, DELIVERY, HOP, ACK_DUE, ACK, TIMEOUT, INTERVAL, SEND, ACK_DUE_LAST, _END = range(10)


class Happening(simpy.Event):
    """An event that is bound to happen: triggered from the start, with one callback."""

    def __init__(
        self, env: simpy.Environment, act: Callable[[Any], None], value: Any = None
    ) -> None:
        self.env = env
        self.callbacks = [act]
        self._value = value
        self._ok = True


class Clock:
    """Schedules callbacks at times in ns, by (time, class, index, order of scheduling).

    Attributes:
        env: the SimPy environment; its time is a Python integer.
    """

    def __init__(self, indices: int) -> None:
        """Make room for `indices` links or flows in each class."""
        self.env = simpy.Environment()
        self._indices = indices

    @property
    def now(self) -> int:
        """Return the time, ns."""
        return self.env._now  # type: ignore[return-value]  # it began as an integer

    def at(
        self, time_ns: int, kind: int, index: int, act: Callable[[Any], None], value: Any = None
    ) -> None:
        """Invoke `act(event)` at `time_ns`, as `kind` of link or flow `index`.

        `event.value` will be `value`. What is scheduled always happens; whoever schedules must
        know on waking up whether it still matters.
        """
        env = self.env
        priority: Any = kind * self._indices + index
        env.schedule(Happening(env, act, value), priority, time_ns - env._now)

    def run(self, until_ns: int) -> None:
        """Process every event whose time is at most `until_ns`."""
        last = Happening(self.env, lambda _: None)
        priority: Any = _END * self._indices
        self.env.schedule(last, priority, until_ns - self.now)
        self.env.run(last)
