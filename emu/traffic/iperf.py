"""iperf3: its command lines, and its JSON, read strictly.

A client that is ended by SIGINT still prints its report, with an error that begins "interrupt":
that is how flows end here, since a client's own end waits for the queue to drain.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emu.problems import EmulationError

PORT = 5201
MOST_JSON = 32 << 20
LISTENING = "listening"
_INTERRUPT = "interrupt"
_MOST = 1e18


@dataclass(frozen=True)
class Report:
    """What a client says of its one stream.

    Attributes:
        congestion: the congestion control that the kernel gave it.
        seconds: how long it sent.
        sent_bytes: payload that it handed to the kernel.
        retransmits: segments sent again.
        interval_bps: goodput of each interval at the sender, bits/s.
    """

    congestion: str
    seconds: float
    sent_bytes: int
    retransmits: int
    interval_bps: tuple[float, ...]


def server() -> list[str]:
    """Return the command of a server that says LISTENING once it does; it is to be killed."""
    return ["iperf3", "-s", "-p", str(PORT), "--forceflush"]


def client(address: str, congestion: str, seconds: float, options: Sequence[str] = ()) -> list[str]:
    """Return the command of a client that sends as much as its congestion control lets it.

    Args:
        address: of the server.
        congestion: what the socket asks for, TCP_CONGESTION.
        seconds: it ends then by itself, if nobody ends it before; rounded up.
        options: further ones of iperf3's.
    """
    length = str(max(1, math.ceil(seconds)))
    command = ["iperf3", "-c", address, "-p", str(PORT), "-t", length, "-i", "1"]
    return [*command, "-C", congestion, "-J", *options]


def parse(text: str, who: str) -> Report:
    """Read a client's report.

    Args:
        text: what it printed.
        who: names the flow in messages.

    Raises:
        EmulationError: it is no report, or the client failed; the message holds iperf3's own.
    """
    if len(text) > MOST_JSON:
        raise EmulationError(f"{who}: iperf3 printed over {MOST_JSON >> 20} MiB")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        start = " ".join(text[:80].split()) or "nothing"
        raise EmulationError(f"{who}: iperf3 printed no JSON but: {start}") from None
    if not isinstance(found, dict):
        raise EmulationError(f"{who}: iperf3's JSON is no object")
    error = found.get("error", "")
    if error and not (isinstance(error, str) and error.startswith(_INTERRUPT)):
        raise EmulationError(f"{who}: iperf3: {str(error)[:200]}")
    total = _part(found, ("end", "sum_sent"), dict, who)
    intervals = _part(found, ("intervals",), list, who)
    congestion = _part(found, ("end", "sender_tcp_congestion"), str, who)
    return Report(
        congestion=congestion,
        seconds=_number(total, "seconds", who),
        sent_bytes=int(_number(total, "bytes", who)),
        retransmits=int(_number(total, "retransmits", who)),
        interval_bps=tuple(
            _number(_part(row, ("sum",), dict, who), "bits_per_second", who) for row in intervals
        ),
    )


def _part(found: Any, keys: tuple[str, ...], kind: type, who: str) -> Any:
    here = found
    for key in keys:
        here = here.get(key) if isinstance(here, dict) else None
    if not isinstance(here, kind):
        raise EmulationError(f"{who}: iperf3's JSON has no {'.'.join(keys)}; iperf3 3.7 or later?")
    return here


def _number(found: dict[str, Any], key: str, who: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        raise EmulationError(f"{who}: iperf3's {key} is {str(value)[:40]!r}, no number >= 0")
    return float(value)
