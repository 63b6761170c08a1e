"""A paced UDP sender and a receiver that reads the kernel's stamps: `python -m emu.measure.udp`.

`receive PORT QUIET_S [FILE]` prints "ready" and takes packets until its stdin has ended and then
none comes for QUIET_S; it prints one JSON line, and writes (number, sent, received) of each packet
into the file. `send ADDRESS PORT RATE_BPS COUNT BURST` sends. Frames have 1514 bytes. Standard
library only.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import statistics
import struct
import sys
import time
from pathlib import Path
from typing import Any

FRAME_BYTES = 1514
HEADER_BYTES = 42
"""Ethernet, IPv4, UDP."""

_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_STAMP = struct.Struct("!qq")


def send(address: str, port: int, rate_bps: float, count: int, burst: int) -> dict[str, Any]:
    """Send packets at an even pace; each carries its number and when it was sent.

    A sender that was kept from its core makes up for at most `burst` packets at once, so that no
    queue overflows for that.
    """
    gap_ns = FRAME_BYTES * 8e9 / rate_bps
    filling = bytes(FRAME_BYTES - HEADER_BYTES - _STAMP.size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.connect((address, port))
        started = begin = time.monotonic_ns()
        for number in range(count):
            ahead_ns = begin + number * gap_ns - time.monotonic_ns()
            if ahead_ns > 50_000:
                time.sleep(ahead_ns / 1e9)
            begin -= min(0.0, ahead_ns + burst * gap_ns)
            opened.send(_STAMP.pack(number, time.time_ns()) + filling)
        return {"sent": count, "seconds": (time.monotonic_ns() - started) / 1e9}


def receive(port: int, quiet_s: float) -> list[tuple[int, int, int]]:
    """Take packets until stdin has ended and none comes for `quiet_s`.

    Returns:
        Of each packet its number, and when it was sent and received, ns.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.bind(("0.0.0.0", port))
        print("ready", flush=True)
        rows: list[tuple[int, int, int]] = []
        sources: list[Any] = [opened, sys.stdin]
        while ready := select.select(sources, (), (), None if len(sources) > 1 else quiet_s)[0]:
            if sys.stdin in ready:
                sources.remove(sys.stdin)
            if opened in ready:
                data, control, _, _ = opened.recvmsg(FRAME_BYTES, 64)
                seconds, ns = struct.unpack("qq", control[0][2])
                number, sent = _STAMP.unpack_from(data)
                rows.append((number, sent, seconds * 1_000_000_000 + ns))
        return rows


def summary(rows: list[tuple[int, int, int]]) -> dict[str, Any]:
    """Return counts, rate and delays of received packets, from (number, sent, received) in ns.

    The rate is that of frames while packets came back to back: half of them, over the median time
    that half of them took, so that a few late ones do not count. `delay_later_ns` is the median
    over the later half: under overload, that of a full queue.
    """
    numbers = [number for number, _, _ in rows]
    delays = sorted(received - sent for _, sent, received in rows)
    told: dict[str, Any] = {
        "received": len(set(numbers)),
        "duplicates": len(numbers) - len(set(numbers)),
        "reordered": sum(b < a for a, b in itertools.pairwise(numbers)),
    }
    if len(rows) < 4:
        return told | {"rate_bps": 0.0}
    half = len(rows) // 2
    spans = [rows[i + half][2] - rows[i][2] for i in range(len(rows) - half)]
    told["rate_bps"] = half * FRAME_BYTES * 8e9 / max(1.0, statistics.median(spans))
    later = [received - sent for _, sent, received in rows[half:]]
    told["delay_later_ns"] = statistics.median(later)
    for name, share in (("min", 0.0), ("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        told[f"delay_{name}_ns"] = delays[round(share * (len(delays) - 1))]
    return told


def main(argv: list[str]) -> None:
    """Send or receive, and print one JSON line."""
    if argv[0] == "receive":
        rows = receive(int(argv[1]), float(argv[2]))
        print(json.dumps(summary(rows)), flush=True)
        if len(argv) > 3:
            Path(argv[3]).write_text(json.dumps(rows), encoding="ascii")
    else:
        address, port, rate_bps, count, burst = argv[1:]
        print(json.dumps(send(address, int(port), float(rate_bps), int(count), int(burst))))


if __name__ == "__main__":
    main(sys.argv[1:])
