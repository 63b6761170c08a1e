"""Controllers for tests: plain Python hooks that keep to a window and note what they are told."""

from __future__ import annotations

import math
from typing import Any

from policies.congestion import base

Events = list[tuple[str, dict[str, float]]]


def noting(
    events: Events,
    cwnd: float = math.inf,
    pacing_bps: float = math.inf,
    interval_ns: float = 0.0,
    interval_packets: float = 0.0,
) -> Any:
    """Return a controller that never changes its mind; it appends (hook, event) to `events`."""

    def init(state: Any, flow: Any, constants: Any) -> None:
        events.append(("init", dict(zip(base.FLOW, flow.tolist(), strict=True))))
        state[:4] = cwnd, pacing_bps, interval_ns, interval_packets

    def hook(name: str, columns: tuple[str, ...]) -> Any:
        def note(state: Any, event: Any, constants: Any) -> None:
            events.append((name, dict(zip(columns, event.tolist(), strict=True))))

        return note

    class Noting(base.Controller):
        name = "noting"

    Noting.init = init  # type: ignore[attr-defined]
    Noting.on_ack = hook("on_ack", base.ACK)
    Noting.on_loss = hook("on_loss", base.LOSS)
    if interval_ns:
        Noting.on_interval = hook("on_interval", base.INTERVAL)
        Noting.on_interval_start = hook("on_interval_start", base.INTERVAL)
    return Noting


def told(events: Events, hook: str, *columns: str) -> list[tuple[float, ...]]:
    """Return some columns of what a hook was told, one tuple per invocation."""
    return [tuple(event[c] for c in columns) for name, event in events if name == hook]
