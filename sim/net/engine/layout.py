"""The arena: one block of memory that holds everything a run needs, and its map.

All state lies in one int64 array `w`; `d` is the same memory seen as float64. A flow, a link,
a ring or a row is known by its *handle*, the index of its first word, and a field is
`w[flow + SRTT]`. One block instead of dozens of arrays keeps calls between compiled functions
cheap, and growing a ring is moving it to the end of a larger arena.

Rings have a power of two of rows; row i of a ring lies at `ring + (i & mask) * width`.
"""

from __future__ import annotations

from policies.congestion.base import ACK, FLOW, INTERVAL, LOSS
from sim.net.result import LINK_TOTALS, SERIES, TOTALS, WAIT_BINS

NEVER = 4 * 10**18 // 8
"""Later than any event; times 8 it still fits a key."""
DROPPED = -1
SPURIOUS = -2

# Event classes, docs/network-model.md "Time and order". A key is time * 8 + class.
DEQUEUE, HOP, ACK_ARRIVES, TIMEOUT, INTERVAL_ENDS, SEND = range(6)

# Why `advance` comes back.
DONE, GROW_PACKETS, GROW_QUEUE, GROW_EXITS, GROW_TRACE, PAUSED = range(6)

(
    LINKS,
    FLOWS,
    LINK_COUNT,
    FLOW_COUNT,
    ENTITIES,  # handles of what can have events: links first, then flows
    KEYS,
    WINNERS,
    LEAVES,
    HORIZON,
    MEASURE_FROM,
    BIN_NS,
    BINS,
    TRACE_RING,  # 0: no trace
    TRACE_COUNT,
    TRACE_ROOM,
    EVENTS,
    NOW,
    AT_FLOW,  # index of the flow whose hook runs, for error messages
    AT_HOOK,
    WANTED,  # handle of the flow or link that needs room
    ACK_ROW,
    LOSS_ROW,
    INTERVAL_ROW,
    START_ROW,
) = range(24)
HEADER_WIDTH = START_ROW + 1

(
    INDEX,
    ENTITY,
    KIND,  # 0: controlled, 1: open-loop source
    STATE,
    CONSTANTS,
    CONSTANTS_WIDTH,
    STATE_WIDTH,
    PACKET_BYTES,
    PAYLOAD,
    RETURN_NS,
    START,
    STOP,
    STARTED,
    FIRST_LINK,
    NEXT_LINKS,  # table: handle of the link after each link, 0 after the last
    NEXT_SEND,
    NEXT_PACE,
    NEXT_ACK,
    TIMER,
    INTERVAL_AT,
    NEXT_PACKET,
    ACK_PACKET,  # oldest packet whose ACK has not arrived and that is not known here as dropped
    SCAN,  # oldest packet that may still be declared lost
    INFLIGHT,
    DELIVERED,
    DELIVERED_NS,
    FIRST_SENT,
    LOST_TOTAL,
    RTO_POINT,  # packets below it that were not acknowledged then are given up
    RECOVERY_POINT,
    IN_RECOVERY,
    BACKOFF,
    MIN_RTO,
    SRTT,  # float64
    RTTVAR,  # float64
    MIN_RTT,
    HAS_RTT,
    ACK_EVERY,
    ACK_WAIT,
    PENDING,
    FIRST_PENDING,
    LAST_ARRIVED,
    DEADLINE,
    ON_ACK,
    ON_LOSS,
    ON_INTERVAL,
    ON_START,
    ATTRIBUTION,  # 0: during, 1: sent
    INTERVAL_ID,
    INTERVAL_START,
    INTERVAL_SENT,
    INTERVAL_MIN,  # earliest end
    INTERVAL_NEED,  # packets
    INTERVAL_FIRST,  # oldest packet that the open accounts still look at
    INTERVAL_RATE,  # float64
    INTERVAL_LOST,
    INTERVAL_FIRST_SENT,
    INTERVAL_LAST_SENT,
    INTERVAL_OPEN,  # id of the oldest interval that is not reported
    PAUSE,  # 1: come back to the caller after each report
    PACKETS,
    MASK,
    INTERVALS,  # ring of intervals not reported yet (attribution `sent`), 0: none
    TOTALS_AT,
    WAITS_AT,
    SERIES_AT,
    FUTURE,  # packets whose delivery lies after the end
    RATE,  # of a source, float64
    MEAN_GAP,  # float64
    LUCK,  # of a source: gaps, sizes, periods
    PATTERN,
    ON_NS,
    OFF_NS,
    PERIOD_END,
    SIZE_KIND,
    SIZE_LOW,
    SIZE_HIGH,
    SIZE_MEAN,  # float64
    SIZES,  # table of listed sizes
    SHARES,  # and of their cumulative shares, float64
    SIZE_COUNT,
) = range(81)
FLOW_WIDTH = SIZE_COUNT + 1

# A packet of a controlled flow, from its sending until nobody asks for it any more.
(
    P_SENT,
    P_ACK_AT,  # when its ACK arrives; NEVER: not known yet; DROPPED; SPURIOUS
    P_DELIVERED,
    P_DELIVERED_NS,
    P_FIRST_SENT,
    P_TX_INFLIGHT,
    P_TX_LOST,
    P_INTERVAL,
) = range(8)
PACKET_WIDTH = 8

# An interval under the attribution `sent`.
V_START, V_END, V_FIRST, V_LAST, V_UNSETTLED, V_RATE = range(6)
INTERVAL_WIDTH = 8

(
    K_INDEX,
    K_ENTITY,
    CAPACITY_KIND,
    K_RATE,
    TX_BYTES,  # size whose service time is kept in TX_NS
    TX_NS,
    TIMES,
    RATES,
    POINTS,
    PERIOD,
    CURSOR,
    DELAY,
    JITTER,
    QUEUE_KIND,
    LIMIT,
    UNIFORM,  # 1: constant capacity, packets of one size, limit in packets: no ring is needed
    LOSS_KIND,
    LOSS_A,  # float64: p, or good to bad
    LOSS_B,  # float64: bad to good
    LOSS_GOOD,
    LOSS_BAD,
    BAD,
    K_LUCK,  # loss, red, jitter
    BUSY_UNTIL,
    LAST_EXIT,
    QUEUE,
    QUEUE_MASK,
    QUEUE_HEAD,
    QUEUE_TAIL,
    QUEUED_BYTES,
    EXITS,
    EXITS_MASK,
    EXITS_HEAD,
    EXITS_TAIL,
    NEXT_DEQUEUE,
    AQM,  # RED: average, weight, low, high, max_probability (float64); CoDel: its row
    AQM_COUNT,  # RED: packets since the last drop
    AQM_TARGET,
    AQM_INTERVAL,
    K_TOTALS,
) = range(40)
LINK_WIDTH = K_TOTALS + 1

CONSTANT, STEPPED, OPPORTUNITIES = range(3)
TAIL_PACKETS, TAIL_BYTES, RED, CODEL = range(4)
PATTERN_CONSTANT, PATTERN_POISSON, PATTERN_ONOFF = range(3)
GAPS_LUCK, SIZES_LUCK, PERIODS_LUCK = range(3)
NO_LOSS, BERNOULLI, GILBERT_ELLIOTT = range(3)

# A packet that waits (CoDel), or that is on its way to its next link.
Q_TIME, Q_FLOW, Q_PACKET, Q_BYTES, Q_WAIT, Q_SENT = range(6)
QUEUED_WIDTH = 8
# A packet that waits at a tail-drop link: only when it starts and how large it is.
STARTS_WIDTH = 2

TRACE_WIDTH = 7
ROWS = (len(ACK), len(LOSS), len(INTERVAL), len(FLOW))
TOTALS_WIDTH, LINK_TOTALS_WIDTH, SERIES_WIDTH = len(TOTALS), len(LINK_TOTALS), len(SERIES)
HISTOGRAM_WIDTH = WAIT_BINS
