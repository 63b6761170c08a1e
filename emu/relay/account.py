"""The relay's account of packets: what became of each that had TCP payload, and when.

It holds what virtual time decided (`lane`), not when a frame really left: that the relay woke up
late is in none of these numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RECORD = np.dtype(
    [
        ("arrival_ns", np.int64),
        ("wait_ns", np.int64),
        ("deliver_ns", np.int64),
        ("source", np.uint32),
        ("bytes", np.uint32),
        ("payload", np.uint32),
        ("sequence", np.uint32),
        ("port", np.uint16),
        ("link", np.uint16),
        ("verdict", np.uint16),
        ("zero", np.uint16),
    ]
)
"""`struct record` of account.h; times are ns since the last restart."""
_PACKED = struct.Struct("=qqqIIIIHHHH")
_ETHERNET, _IPV4, _TCP, _LEAST_HEADER = 14, 0x0800, 6, 20


@dataclass(frozen=True)
class Headers:
    """What the headers of a frame say: IPv4 source, TCP port there, number and length of data."""

    source: int
    port: int
    sequence: int
    payload: int


def headers_of(frame: bytes) -> Headers | None:
    """Return what the headers of an Ethernet frame say; None if it has no TCP payload."""
    if len(frame) < _ETHERNET + _LEAST_HEADER:
        return None
    kind, ip = int.from_bytes(frame[12:14]), frame[_ETHERNET:]
    if kind != _IPV4 or ip[9] != _TCP:
        return None
    length = 4 * (ip[0] & 15)
    tcp = ip[length:]
    if length < _LEAST_HEADER or len(tcp) < _LEAST_HEADER:
        return None
    payload = int.from_bytes(ip[2:4]) - length - 4 * (tcp[12] >> 4)
    if payload <= 0:
        return None
    port, sequence = int.from_bytes(tcp[:2]), int.from_bytes(tcp[4:8])
    return Headers(int.from_bytes(ip[12:16]), port, sequence, payload)


def packed(
    link: int, verdict: int, arrival_ns: int, wait_ns: int, deliver_ns: int, frame: bytes
) -> bytes:
    """Return the record of a packet; nothing if it has no TCP payload."""
    said = headers_of(frame)
    if said is None:
        return b""
    times, sizes = (arrival_ns, wait_ns, deliver_ns), (len(frame), said.payload)
    return _PACKED.pack(*times, said.source, *sizes, said.sequence, said.port, link, verdict, 0)


def read(path: Path) -> NDArray[np.void]:
    """Return all records of a file; one that is half-written at its end is left out."""
    data = path.read_bytes()
    return np.frombuffer(data, RECORD, count=len(data) // RECORD.itemsize)
