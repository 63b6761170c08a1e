"""What an engine says of a controller whose answer cannot be used. Both engines use these."""

from __future__ import annotations

MAX_INFLIGHT = 2**20
"""Packets in flight of one flow beyond which a window is taken for a mistake."""


def describe(flow_label: str, hook_name: str, field: str, value: float, now_ns: int) -> str:
    """Return the message about a hook that left `field` at a value that is not allowed."""
    return f"{flow_label}: {hook_name} left {field} = {value:g} at {seconds(now_ns)}"


def describe_raised(flow_label: str, hook_name: str, error: Exception, now_ns: int) -> str:
    """Return the message about a hook that raised."""
    what = f"{type(error).__name__}: {error}"
    return f"{flow_label}: {hook_name} raised {what} at {seconds(now_ns)}"


def describe_flood(flow_label: str, cwnd: float, now_ns: int) -> str:
    """Return the message about a flow that has `MAX_INFLIGHT` packets in flight and sends on."""
    return (
        f"{flow_label}: {MAX_INFLIGHT} packets in flight, and cwnd = {cwnd:g} allows more, "
        f"at {seconds(now_ns)}"
    )


def seconds(time_ns: int) -> str:
    """Return a simulated time as text: `1.203 s`."""
    return f"{time_ns / 1e9:.12g} s"
