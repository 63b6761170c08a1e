"""Records of the datapath: their layout (`bpf/record.h`), and intervals as hooks know them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.congestion import base
from policies.congestion.rule_inputs import WIDTH

BEGAN, STARTED, INTERVAL, ENDED = range(4)
"""Kinds of record: a flow began, an interval began, an interval is complete, a flow ended."""

_LONG = (
    *("now_us", "start_us", "end_us", "rtt_sum_us", "first_half_us", "ack_span_us"),
    *("sum_x", "sum_y", "sum_xy", "sum_xx"),
    *("interval_rate_bps", "rate_bps", "next_us", "action"),
)
_SIGNED = ("sum_x", "sum_y", "sum_xy", "sum_xx", "action")
_SHORT = (
    *("kind", "flow", "id", "sent", "acked", "lost", "least_rtt_us", "min_rtt_us", "srtt_us"),
    *("packet_bytes", "payload_bytes", "ports", "serial", "warmup_left", "app_limited", "acted"),
)
RECORD = np.dtype(
    [
        *((name, np.int64 if name in _SIGNED else np.uint64) for name in _LONG),
        ("table", np.int64, (WIDTH,)),
        *((name, np.uint32) for name in _SHORT),
    ]
)
"""`struct dp_record`."""
STEER = np.dtype(
    [
        *(("rate_bps", np.uint64), ("interval_us", np.uint64)),
        *(("packets", np.uint32), ("window", np.uint32), ("turn", np.uint64)),
    ]
)
"""`struct dp_steer`."""


def read_record(data: bytes) -> Any:
    """Return the record (a scalar of RECORD) in the bytes of one entry of the ring.

    Raises:
        ValueError: they are too few.
    """
    if len(data) < RECORD.itemsize:
        raise ValueError(f"a record has {RECORD.itemsize} bytes, got {len(data)}; build it anew")
    return np.frombuffer(data, RECORD, count=1)[0]


def interval_row(record: Any) -> NDArray[np.float64]:
    """Return an interval as the row of `policies.congestion.base.INTERVAL` that hooks are told.

    Send times of single packets are not known to the kernel. The span of sending is taken as the
    interval's length less one gap of n packets sent evenly; the slope of RTTs is over the
    times at which acknowledged packets were sent, each time ACK less RTT.
    """
    row = np.zeros(len(base.INTERVAL))
    acked, sent = int(record["acked"]), int(record["sent"])
    row[base.I_NOW_NS] = 1e3 * record["now_us"]
    row[base.I_ID] = record["id"]
    row[base.I_START_NS] = 1e3 * record["start_us"]
    row[base.I_END_NS] = 1e3 * max(record["end_us"], record["start_us"] + 1)
    row[base.I_SENT], row[base.I_ACKED], row[base.I_LOST] = sent, acked, record["lost"]
    length = row[base.I_END_NS] - row[base.I_START_NS]
    row[base.I_SEND_SPAN_NS] = length * (sent - 1) / sent if sent > 1 else 0.0
    row[base.I_ACK_SPAN_NS] = 1e3 * record["ack_span_us"]
    row[base.I_PACING_BPS] = record["interval_rate_bps"]
    for column in (base.I_MEAN_RTT_NS, base.I_LEAST_RTT_NS):
        row[column] = math.nan
    row[base.I_FIRST_HALF_RTT_NS] = row[base.I_SECOND_HALF_RTT_NS] = math.nan
    if acked:
        total, half, early = int(record["rtt_sum_us"]), acked // 2, int(record["first_half_us"])
        row[base.I_MEAN_RTT_NS] = 1e3 * total / acked
        row[base.I_LEAST_RTT_NS] = 1e3 * record["least_rtt_us"]
        if half:
            row[base.I_FIRST_HALF_RTT_NS] = 1e3 * early / half
            row[base.I_SECOND_HALF_RTT_NS] = 1e3 * (total - early) / (acked - half)
    row[base.I_RTT_SLOPE] = _slope(record, acked)
    _tell_rtts(row, record)
    return row


def start_row(record: Any) -> NDArray[np.float64]:
    """Return what `on_interval_start` is told of the interval that begins; other columns are 0."""
    row = np.zeros(len(base.INTERVAL))
    row[base.I_NOW_NS] = row[base.I_START_NS] = 1e3 * record["start_us"]
    row[base.I_ID] = record["id"]
    _tell_rtts(row, record)
    return row


def flow_row(record: Any, start_bps: float) -> NDArray[np.float64]:
    """Return what `init` is told of a flow that began; `start_bps` NaN: no proposal for a rate."""
    row = np.full(len(base.FLOW), math.nan)
    row[base.PACKET_BYTES] = record["packet_bytes"]
    row[base.PAYLOAD_BYTES] = record["payload_bytes"]
    row[base.INITIAL_WINDOW] = 10.0
    row[base.START_NS] = 1e3 * record["now_us"]
    row[base.START_RATE_BPS] = start_bps
    return row


def _tell_rtts(row: NDArray[np.float64], record: Any) -> None:
    known = record["min_rtt_us"] > 0
    row[base.I_SRTT_NS] = 1e3 * record["srtt_us"] if known else math.nan
    row[base.I_MIN_RTT_NS] = 1e3 * record["min_rtt_us"] if known else math.nan


def _slope(record: Any, samples: int) -> float:
    """Return the least-squares slope of RTT over send time from its sums, ns/ns."""
    if samples < 2:
        return 0.0
    x, y, xy, xx = (int(record[name]) for name in ("sum_x", "sum_y", "sum_xy", "sum_xx"))
    spread = samples * xx - x * x
    return (samples * xy - x * y) / spread if spread > 0 else 0.0
