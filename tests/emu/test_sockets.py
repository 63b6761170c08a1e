"""What `ss` and the kernel's counters say, also when it is cut off or is something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.traffic import sockets

# As iproute2 6.1 on Linux 6.18 wrote it; the first connection is iperf3's for control.
BLOCK = """@ 1700000000.250000
ESTAB 0 0 10.0.0.1:44556 10.0.0.2:5201
\t ts sack bbr wscale:10,10 rto:232 rtt:30.5/12.1 mss:1448 cwnd:10 bytes_sent:500 bytes_acked:501
ESTAB 0 998232 10.0.0.1:44560 10.0.0.2:5201
\t ts sack cubic wscale:10,10 rto:456 rtt:249.619/0.3 mss:1448 pmtu:1500 cwnd:681 ssthresh:497 \
bytes_sent:14145549 bytes_retrans:2896 bytes_acked:13180249 segs_out:9771 send 31.6Mbps \
pacing_rate 37.9Mbps delivery_rate 29.4Mbps busy:3870ms rwnd_limited:1ms unacked:640
TcpExt: SyncookiesSent TCPTimeouts TCPSpuriousRTOs
TcpExt: 0 3 1
"""
FIRST = sockets.Sample(1700000000.25, "cubic", 249.619, 681, 37.9e6, 14145549, 2896, 3)


def test_the_connection_that_sent_most() -> None:
    assert sockets.parse(BLOCK) == [FIRST]
    assert sockets.parse(BLOCK + BLOCK.replace(".25", ".50"))[1].time_s == 1700000000.5


def test_a_locale_with_a_comma() -> None:
    assert sockets.parse(BLOCK.replace("1700000000.25", "1700000000,25")) == [FIRST]


def test_nothing_yet() -> None:
    no_flow = "@ 1.0\nTcpExt: TCPTimeouts\nTcpExt: 0\n"
    assert sockets.parse("") == sockets.parse(no_flow) == []
    control = BLOCK.replace("bytes_sent:500 ", "").replace("bytes_sent:14145549 ", "")
    assert sockets.parse(control) == [], "without bytes sent nothing tells which is the flow"


@pytest.mark.parametrize("options", ["", "ts ", "sack ", "ts sack ecn ecnseen "])
def test_the_congestion_control_follows_the_options(options: str) -> None:
    assert sockets.parse(BLOCK.replace("ts sack ", options))[0].congestion == "cubic"


def test_a_block_cut_off_has_no_sample() -> None:
    """Where the counters are not whole; before that every cut gives the same or nothing."""
    for end in range(len(BLOCK)):
        found = sockets.parse(BLOCK + BLOCK[:end])
        assert found[0] == FIRST
        assert len(found) == 1 or end > BLOCK.index("TcpExt: 0 3")


@given(
    st.text() | st.lists(st.sampled_from([*BLOCK.splitlines(True), "@ nan\n", "\t rtt:1.2.3/\n"]))
)
def test_any_text_is_read(text: str | list[str]) -> None:
    for sample in sockets.parse("".join(text)):
        assert sample.sent_bytes > 0
        assert sample.rtt_ms >= 0.0
        assert 0.0 <= sample.time_s < 1e12
