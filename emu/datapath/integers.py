"""The datapath's arithmetic in Python: `bpf/arith.h` and `bpf/inputs.h`, equal to the bit.

It is there to be compared: with the kernel, by replaying the intervals that it logged, and with
`policies.congestion.rule_inputs`, the same table in floats. An input differs from that by at most
`most_error` of its interval. Qn means that an integer is the value times 2**n.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.congestion import rule_inputs as floats

Q_INPUT, Q_RATE, Q_RTT, Q_BPS, Q_UNIT = 24, 32, 16, 16, 30
MOST_US, MOST_PACKETS, MOST_RTT_US = 1 << 31, 1 << 22, 1 << 24
QUANTUM = 2.0**-Q_INPUT

LOW, HIGH, EMPTY = (
    tuple(round(value * 2**Q_INPUT) for value in bounds)
    for bounds in (floats.LOW, floats.HIGH, floats.EMPTY)
)
FEATURES = len(floats.NUMBERS)
_ONE = 1 << Q_INPUT
_SERIES = (8, 109, 1419, 16377, 165394, 1431680, 10327387, 59597083, 257941248, 744261118, 1 << 30)


def within(x: int, low: int, high: int) -> int:
    """Return x brought into low..high."""
    return min(max(x, low), high)


def rate_of(bits: int, us: int) -> int:
    """Return the Mbit/s (Q_RATE) of so many bits in so many us, at most 2**20 Mbit/s."""
    us = min(us or 1, MOST_US)
    return (min(bits // us, 1 << 20) << Q_RATE) + ((bits % us) << Q_RATE) // us


def ratio(a: int, b: int) -> int:
    """Return a / b (Q_INPUT), at most 256; 256 for b = 0."""
    if b == 0 or a // b >= 256:
        return 256 << Q_INPUT
    whole, rest = divmod(a, b)
    shift = 24 if b >> 55 else 16 if b >> 47 else 8 if b >> 39 else 0
    return (whole << Q_INPUT) + ((rest >> shift) << Q_INPUT) // (b >> shift)


def log2_plus_one(n: int) -> int:
    """Return log2(1 + n) (Q_INPUT) for 0 <= n < 2**32, at most one quantum too small."""
    log = (n + 1).bit_length() - 1
    mantissa = ((n + 1) << 31) >> log
    for _ in range(Q_INPUT):
        mantissa = (mantissa * mantissa) >> 31
        log <<= 1
        if mantissa >> 32:
            mantissa >>= 1
            log |= 1
    return log


def power_of_two(t: int) -> int:
    """Return 2**t for |t| <= 1, both in Q_UNIT."""
    t = within(t, -(1 << Q_UNIT), 1 << Q_UNIT)
    whole = t >> Q_UNIT
    x, y = t - (whole << Q_UNIT), 0
    for term in _SERIES:
        y = term + ((y * x) >> Q_UNIT)
    return y >> 1 if whole < 0 else y << whole


def scaled(rate: int, factor: int) -> int:
    """Return rate x factor, the factor in Q_UNIT."""
    low = rate & ((1 << Q_UNIT) - 1)
    return (rate >> Q_UNIT) * factor + ((low * factor) >> Q_UNIT)


def stepped(rate: int, action: int, step_log2: int, least: int, most: int) -> int:
    """Return the rate (Q_BPS) after an action: `steering.act`; step_log2 is log2(1 + delta)."""
    action = within(action, -(1 << Q_UNIT), 1 << Q_UNIT)
    return within(scaled(rate, power_of_two((action * step_log2) >> Q_UNIT)), least, most)


@dataclass
class Memory:
    """What is known of a connection, and the table of inputs (Q_INPUT): `struct dp_memory`.

    Attributes:
        by_sent: whether intervals count the packets sent in them.
        mean_rtt: Q_RTT us.
        received, most_received, sending: Q_RATE Mbit/s.
        table: as `rule_inputs.INPUTS`.
    """

    by_sent: bool = False
    mean_rtt: int = 0
    received: int = 0
    most_received: int = 0
    sending: int = 0
    table: list[int] = field(default_factory=lambda: list(EMPTY))

    def account(self, v: Mapping[str, int], packet_bits: int) -> None:
        """Take an interval (fields of a record) into what features rest on."""
        acked, length = min(v["acked"], MOST_PACKETS), _length(v)
        self.sending = rate_of(min(v["sent"], MOST_PACKETS) * packet_bits, length)
        if not acked:
            return
        self.mean_rtt = (v["rtt_sum_us"] << Q_RTT) // v["acked"]
        if self.by_sent and v["ack_span_us"] > 0:
            self.received = rate_of((acked - 1) * packet_bits, v["ack_span_us"])
        else:
            self.received = rate_of(acked * packet_bits, length)
        self.most_received = max(self.most_received, self.received)

    def measures(self, v: Mapping[str, int]) -> tuple[int, ...]:
        """Return the features of an interval (Q_INPUT) before they are brought in bounds."""
        acked, settled, least = v["acked"], v["acked"] + v["lost"], v["min_rtt_us"]
        if acked and not self.by_sent:
            send = ratio(v["sent"], acked)
        else:
            send = ratio(self.sending, self.received) if self.received else _ONE
        return (
            _inflation(v),
            ratio(self.mean_rtt, least << Q_RTT) if self.mean_rtt else _ONE,
            send,
            ratio(v["lost"], settled) if settled else 0,
            ratio(self.received, self.most_received) if self.most_received else 0,
            ratio(v["least_rtt_us"], least) if acked else _ONE,
            (log2_plus_one(v["sent"]) + 10) // 20,
        )

    def update(self, v: Mapping[str, int]) -> None:
        """Take an interval into the table; `account` came first."""
        table = self.table
        for feature, value in enumerate(self.measures(v)):
            at = floats.KINDS * feature
            value = within(value, LOW[at], HIGH[at])
            change = value - table[at + 2]
            table[at : at + floats.KINDS] = (
                value,
                table[at + 1] + ((value - table[at + 1] + 1) >> 1),
                table[at + 2] + ((change + 4) >> 3),
                change,
            )
        at = floats.MIN_RTT
        if v["min_rtt_us"]:
            table[at] = within(((v["min_rtt_us"] << Q_INPUT) + 500) // 1000, LOW[at], HIGH[at])
        at = floats.RECEIVED
        table[at] = within(self.received >> (Q_RATE - Q_INPUT), LOW[at], HIGH[at])
        at = floats.SENT_PACKETS
        table[at] = within(log2_plus_one(v["sent"]), LOW[at], HIGH[at])


def _length(v: Mapping[str, int]) -> int:
    return min(max(v["end_us"] - v["start_us"], 1), MOST_US)


def _inflation(v: Mapping[str, int]) -> int:
    if v["acked"] < 2:
        return 0
    half, early = v["acked"] // 2, v["first_half_us"]
    first = (early << Q_RTT) // half
    second = ((v["rtt_sum_us"] - early) << Q_RTT) // (v["acked"] - half)
    size = (abs(second - first) << (Q_INPUT - Q_RTT)) // _length(v)
    return size if second >= first else -size


def most_error(least_rtt_us: int, least_length_us: int, least_received_mbps: float) -> float:
    """Return how far an input may be from that in floats, in quanta (2**-24).

    A feature errs by one quantum of its own division; by 256 / RTT or 512 / length (us) quanta, as
    mean RTTs are in 2**-16 us; ratios of rates, which are in 2**-32 Mbit/s and at most 100, by
    2**-8 x 100 / rate. A slow mean of what errs by e errs by e and 4 more, as each step rounds by
    half a quantum and forgets an eighth; a change is the difference of two such.

    Args:
        least_rtt_us: least RTT of the connection.
        least_length_us: length of its shortest interval.
        least_received_mbps: least receive rate.
    """
    own = 2.0 + 256.0 / least_rtt_us + 512.0 / least_length_us + 0.8 / least_received_mbps
    return 2.0 * own + 4.0
