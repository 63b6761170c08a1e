"""What the kernel tells of its sockets over time: `ss -tinH`, and the count of time-outs.

One shell loop on a host prints a block per sample: `@ TIME`, the lines of ss, the lines `TcpExt`
of /proc/net/netstat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_FIELDS = 1000
_RTT = re.compile(r"(?:^| )rtt:([0-9.]+)/")
_PACING = re.compile(r"(?:^| )pacing_rate ([0-9.]+)([KMG]?)bps")
_OPTIONS = ("ts", "sack", "ecn", "ecnseen", "fastopen")
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Sample:
    """The connection of a host that has sent most, at one moment.

    Attributes:
        time_s: on the wall clock.
        congestion: its congestion control.
        rtt_ms: the kernel's smoothed RTT.
        cwnd: packets.
        pacing_bps: the rate that the kernel paces at; 0: it does not.
        sent_bytes, retransmitted_bytes: payload, the latter is part of the former.
        timeouts: retransmission time-outs of all the host's connections so far.
    """

    time_s: float
    congestion: str
    rtt_ms: float
    cwnd: int
    pacing_bps: float
    sent_bytes: int
    retransmitted_bytes: int
    timeouts: int


def watcher(address: str, every_s: float) -> list[str]:
    """Return the command that samples a host's connections to an address until it is ended."""
    look = f"ss -tinH dst {address}; grep ^TcpExt: /proc/net/netstat"
    loop = f'while :; do echo "@ $EPOCHREALTIME"; {look}; sleep {every_s:g}; done'
    return ["bash", "-c", loop]


def parse(text: str) -> list[Sample]:
    """Return the samples in a watcher's output, in order.

    Blocks without a connection, or cut off at the end of the output, have no sample.
    """
    found = []
    for block in re.split(r"^@ ", text, flags=re.MULTILINE)[1:]:
        sample = _sample(block)
        if sample is not None:
            found.append(sample)
    return found


def _sample(block: str) -> Sample | None:
    first, _, rest = block.partition("\n")
    lines = rest.splitlines()
    timeouts = _timeouts(lines)
    try:
        time_s = float(first.replace(",", "."))  # the locale's decimal point
    except ValueError:
        return None
    if timeouts is None or not 0.0 <= time_s < 1e12:
        return None
    connections = [c for c in _connections(lines, time_s, timeouts) if c.sent_bytes > 0]
    return max(connections, key=lambda c: c.sent_bytes, default=None)


def _connections(lines: list[str], time_s: float, timeouts: int) -> Iterator[Sample]:
    """Yield what ss says in the indented line under each connection's own."""
    for line in lines:
        words = line.split()
        if not line.startswith(("\t", " ")) or not 0 < len(words) < MOST_FIELDS:
            continue
        rtt, pacing = _RTT.search(line), _PACING.search(line)
        if rtt is None or rtt[1].count(".") > 1:
            continue
        named = dict(word.split(":", 1) for word in words if ":" in word)
        yield Sample(
            time_s=time_s,
            congestion=next((word for word in words if word not in _OPTIONS), ""),
            rtt_ms=_float(rtt[1]),
            cwnd=_whole(named.get("cwnd", "")),
            pacing_bps=_float(pacing[1]) * _SCALE[pacing[2]] if pacing else 0.0,
            sent_bytes=_whole(named.get("bytes_sent", "")),
            retransmitted_bytes=_whole(named.get("bytes_retrans", "")),
            timeouts=timeouts,
        )


def _timeouts(lines: list[str]) -> int | None:
    """Return TCPTimeouts: a line of names is followed by one of values."""
    rows = [line.split() for line in lines if line.startswith("TcpExt:")]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        return None
    return _whole(dict(zip(*rows, strict=True)).get("TCPTimeouts", ""))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _whole(text: str) -> int:
    """Return a count; 0 where ss leaves a field out or writes none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
