"""The account of packets: headers are read as they are, and records as they were written."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emu.relay import account


def frame(payload: int, ip_words: int = 5, tcp_words: int = 8, protocol: int = 6) -> bytes:
    """Return an Ethernet frame from 10.0.0.1 port 5001, number 77, with so much TCP payload."""
    whole = 4 * (ip_words + tcp_words) + payload
    ip = struct.pack("!BBHHHBBH", 64 | ip_words, 0, whole, 0, 0, 64, protocol, 0)
    ip += bytes([10, 0, 0, 1, 10, 0, 0, 2]) + bytes(4 * (ip_words - 5))
    tcp = struct.pack("!HHIIBBHHH", 5001, 5201, 77, 0, tcp_words << 4, 16, 0, 0, 0)
    tcp += bytes(4 * (tcp_words - 5))
    return bytes(12) + b"\x08\x00" + ip + tcp + bytes(payload)


@given(st.integers(1, 1448), st.integers(5, 15), st.integers(5, 15))
def test_headers(payload: int, ip_words: int, tcp_words: int) -> None:
    found = account.headers_of(frame(payload, ip_words, tcp_words))
    assert found == account.Headers(0x0A000001, 5001, 77, payload)


def test_what_has_no_payload_is_not_entered() -> None:
    for other in (frame(0), frame(9, protocol=17), bytes(12) + b"\x08\x06" + bytes(60)):
        assert account.headers_of(other) is None
        assert account.packed(0, 0, 1, 2, 3, other) == b""


@given(st.binary(max_size=90), st.integers(0, 80))
def test_any_frame_is_read(data: bytes, cut: int) -> None:
    for given_frame in (data, bytes(12) + b"\x08\x00" + data, frame(20)[:cut]):
        found = account.headers_of(given_frame)
        assert found is None or found.payload > 0


def test_records_are_those_written_and_a_half_one_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "packets"
    rows = [account.packed(3, 1, 5, 0, 0, frame(100)), account.packed(0, 0, 6, 7, 99, frame(8))]
    file.write_bytes(b"".join(rows) + rows[0][:11])
    found = account.read(file)
    assert found.dtype == account.RECORD
    assert found["link"].tolist() == [3, 0]
    assert found["verdict"].tolist() == [1, 0]
    assert found["wait_ns"].tolist() == [0, 7]
    assert found["deliver_ns"].tolist() == [0, 99]
    assert found["bytes"].tolist() == [len(frame(100)), len(frame(8))]
    assert found["payload"].tolist() == [100, 8]
    assert np.unique(found["sequence"]).tolist() == [77]
    file.write_bytes(b"")
    assert len(account.read(file)) == 0
