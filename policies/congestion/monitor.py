"""What controllers that act once per monitor interval share: measures, features, trials.

Rows are those of `policies.congestion.base`. Functions here are compiled, take and return floats,
and give finite numbers for any row whose counts are finite, also where an interval saw no ACK.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from policies.congestion.base import (
    I_ACKED,
    I_FIRST_HALF_RTT_NS,
    I_LOST,
    I_MEAN_RTT_NS,
    I_PACING_BPS,
    I_SECOND_HALF_RTT_NS,
    I_SEND_SPAN_NS,
    I_SENT,
    INITIAL_WINDOW,
    INTERVAL_NS,
    INTERVAL_PACKETS,
    PACING_BPS,
    PACKET_BYTES,
    START_RATE_BPS,
)

ASSUMED_RTT_NS = 1e8
"""Round trip assumed before the first sample: 100 ms, as in the authors' sender."""
WAIT_NS = 1e7
"""Interval before the first sample: how late its arrival may be noticed."""
LEAST_INTERVAL_NS = 1e3
MOST_BPS = 1e12
"""No rate beyond this, so that doubling on an idle path stays finite."""
MEGABIT = 1e6


@njit(cache=True)
def clamp(value: float, low: float, high: float) -> float:
    """Return `value` within low..high; `low` for NaN."""
    if not value > low:
        return low
    return min(value, high)


@njit(cache=True)
def packet_bits(flow: Any) -> float:
    """Return the bits of a whole packet of the flow."""
    return 8.0 * flow[PACKET_BYTES]


@njit(cache=True)
def start_rate(flow: Any, chosen_bps: float, fallback_bps: float) -> float:
    """Return the chosen rate if positive, else the flow's proposal, else the fallback (bits/s)."""
    if chosen_bps > 0.0:
        return chosen_bps
    return flow[START_RATE_BPS] if flow[START_RATE_BPS] > 0.0 else fallback_bps


@njit(cache=True)
def window_rate(flow: Any, rtt_ns: float) -> float:
    """Return the rate of one initial window per round trip, bits/s."""
    return flow[INITIAL_WINDOW] * packet_bits(flow) * 1e9 / rtt_ns


@njit(cache=True)
def plan(state: Any, pacing_bps: float, interval_ns: float, packets: float) -> None:
    """Set rate, duration and least packets of the interval that begins."""
    state[PACING_BPS] = clamp(pacing_bps, 1.0, MOST_BPS)
    state[INTERVAL_NS] = max(LEAST_INTERVAL_NS, interval_ns)
    state[INTERVAL_PACKETS] = packets


@njit(cache=True)
def send_time_ns(interval: Any, bits: float) -> float:
    """Return how long sending took: first to last send and the last packet's own time, ns."""
    pacing = clamp(interval[I_PACING_BPS], 1.0, MOST_BPS)
    return max(1.0, interval[I_SEND_SPAN_NS] + bits * 1e9 / pacing)


@njit(cache=True)
def mbps(packets: float, bits: float, duration_ns: float) -> float:
    """Return 1e6 bits/s of so many packets in so many ns (> 0)."""
    return packets * bits * 1e9 / (duration_ns * MEGABIT)


@njit(cache=True)
def loss_share(interval: Any) -> float:
    """Return lost / sent packets of an interval; 0 if none was sent."""
    return interval[I_LOST] / interval[I_SENT] if interval[I_SENT] > 0.0 else 0.0


@njit(cache=True)
def prefers_more(utility_a: float, rate_a: float, utility_b: float, rate_b: float) -> bool:
    """Return whether the faster of two trials has the greater utility (a tie: the second has)."""
    return rate_a > rate_b if utility_a > utility_b else rate_a < rate_b


@njit(cache=True)
def least_mean_rtt(interval: Any, least_ns: float) -> float:
    """Return the least mean RTT of all intervals so far, ns; 0 while there was none."""
    mean = interval[I_MEAN_RTT_NS]
    if mean > 0.0 and (least_ns <= 0.0 or mean < least_ns):
        return mean
    return least_ns


@njit(cache=True)
def features(
    interval: Any, least_ns: float, send_ns: float, ack_ns: float
) -> tuple[float, float, float]:
    """Return Aurora's three features of an interval (`sender_obs.py` of PCC-RL).

    Args:
        interval: the row.
        least_ns: `least_mean_rtt` with this interval included.
        send_ns: duration that its sent packets are divided by.
        ack_ns: duration that its acknowledged packets are divided by.

    Returns:
        Sent latency inflation: mean RTT of the second half of the samples less that of the first,
        over `send_ns`; 0 with fewer than two samples. Latency ratio: mean RTT / `least_ns`; 0 for
        an interval without a sample, 1 while there was none at all. Send ratio: sending rate over
        receiving rate, of which one packet is not counted; 1 where that is not in (0, 1000).
    """
    rise = interval[I_SECOND_HALF_RTT_NS] - interval[I_FIRST_HALF_RTT_NS]
    inflation = rise / send_ns if send_ns > 0.0 and not math.isnan(rise) else 0.0
    ratio = 1.0
    if least_ns > 0.0:
        mean = interval[I_MEAN_RTT_NS]
        ratio = mean / least_ns if mean > 0.0 else 0.0
    sent = interval[I_SENT] / send_ns if send_ns > 0.0 else 0.0
    received = (interval[I_ACKED] - 1.0) / ack_ns if ack_ns > 0.0 else 0.0
    excess = sent / received if received > 0.0 and sent < 1000.0 * received else 1.0
    return inflation, ratio, excess


@njit(cache=True)
def apply_action(rate: float, action: float, scale: float) -> float:
    """Return the rate after an action: r (1 + s a) if a >= 0, else r / (1 - s a)."""
    step = scale * action
    return rate * (1.0 + step) if step >= 0.0 else rate / (1.0 - step)
