"""Round-trip times of a connection and the time-out that follows from them (RFC 6298)."""

from __future__ import annotations

import math

FIRST_RTO_NS = 1_000_000_000
MAX_RTO_NS = 60_000_000_000
LEAST_VARIATION_NS = 1e6


class RoundTrip:
    """Estimates of one connection, ns.

    Attributes:
        smoothed: srtt; NaN before the first sample.
        variation: rttvar.
        least: smallest sample; NaN before the first one.
    """

    def __init__(self, min_rto_ns: int) -> None:
        self.smoothed = math.nan
        self.variation = math.nan
        self.least = math.nan
        self._min_rto_ns = min_rto_ns
        self._backoff = 1

    def add(self, rtt_ns: int) -> None:
        """Take a sample."""
        if math.isnan(self.smoothed):
            self.smoothed, self.variation = float(rtt_ns), rtt_ns / 2.0
            self.least = float(rtt_ns)
            return
        self.variation = 0.75 * self.variation + 0.25 * abs(self.smoothed - rtt_ns)
        self.smoothed = 0.875 * self.smoothed + 0.125 * rtt_ns
        self.least = min(self.least, float(rtt_ns))

    def timeout_ns(self) -> int:
        """Return the retransmission time-out."""
        base = FIRST_RTO_NS
        if not math.isnan(self.smoothed):
            spread = max(4.0 * self.variation, LEAST_VARIATION_NS)
            base = int(max(float(self._min_rto_ns), self.smoothed + spread))
        return min(base * self._backoff, MAX_RTO_NS)

    def back_off(self) -> None:
        """Double the time-out."""
        self._backoff *= 2

    def resume(self) -> None:
        """End the backoff."""
        self._backoff = 1
