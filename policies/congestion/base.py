"""The contract between a congestion controller and whatever carries its packets.

A controller is data and functions. Its data are one row of float64 *state* per flow, whose first
columns every controller shares (below), and one read-only row of *constants* (its parameters in
the order of `parameters`, then whatever `constants` appends, such as weights). Its functions are
hooks: plain functions of float64 rows, decorated with `policies.congestion.hooks.hook`, in the
subset of Python that numba compiles. Packet engine, reference engine and environments call the
very same functions. Times are nanoseconds, rates bits/s of whole packets, windows and counts
packets; all of them are float64 (exact up to 2**53 ns, 104 days).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from policies.registry import Registry

if TYPE_CHECKING:  # naming the controllers must load neither numba nor numpy
    import numpy as np
    from numpy.typing import NDArray

CONTROLLERS: Registry[Any] = Registry("policies.congestion", "congestion controller")
register = CONTROLLERS.register

# The state that every controller shares. The transport reads the first four after each hook.
STATE = ("cwnd", "pacing_bps", "interval_ns", "interval_packets", "seed", "draws")
CWND = 0
"""Congestion window in packets, > 0; inf: none. One packet may always be in flight."""
PACING_BPS = 1
"""Pacing rate, bits/s of whole packets, > 0; inf: not paced. Holds from the next send on."""
INTERVAL_NS = 2
"""Planned duration of a monitor interval, > 0 (only controllers with `on_interval`). Read when an
interval begins, after `on_interval_start`; so is the rate that `pacing_bps` of its row tells."""
INTERVAL_PACKETS = 3
"""A monitor interval goes on until this many packets were sent in it, >= 0."""
SEED = 4
"""Seed of `hooks.draw`, set by the engine before `init`; leave it alone."""
DRAWS = 5
"""Numbers drawn so far by `hooks.draw`; leave it alone."""
OWN = 6
"""First column of a controller's own state."""

# What `init` is told of its flow.
FLOW = (
    "packet_bytes",
    "payload_bytes",
    "initial_window",
    "start_ns",
    "start_rate_bps",
    "bottleneck_bps",
    "base_rtt_ns",
)
(
    PACKET_BYTES,
    PAYLOAD_BYTES,
    INITIAL_WINDOW,  # packets
    START_NS,
    START_RATE_BPS,  # the scenario's proposal for a rate-based controller; NaN where it has none
    BOTTLENECK_BPS,  # NaN unless the controller is an oracle
    BASE_RTT_NS,  # NaN unless the controller is an oracle
) = range(len(FLOW))

# What `on_ack` is told. One ACK may cover several packets; "newest" is the last of them.
ACK = (
    "now_ns",
    "packet",
    "acked",
    "lost",
    "rtt_ns",
    "srtt_ns",
    "min_rtt_ns",
    "inflight",
    "prior_inflight",
    "delivered",
    "prior_delivered",
    "sample_ns",
    "tx_inflight",
    "lost_total",
    "tx_lost_total",
    "in_recovery",
    "next_packet",
)
(
    A_NOW_NS,
    A_PACKET,  # number of the newest packet that it acknowledges
    A_ACKED,  # packets that it newly acknowledges
    A_LOST,  # packets that it caused to be declared lost
    A_RTT_NS,  # of the newest packet
    A_SRTT_NS,  # smoothed as in RFC 6298, this sample included
    A_MIN_RTT_NS,  # smallest sample of the connection
    A_INFLIGHT,  # packets in flight after it
    A_PRIOR_INFLIGHT,  # and before it
    A_DELIVERED,  # packets acknowledged so far, these included
    A_PRIOR_DELIVERED,  # `delivered` when the newest packet was sent
    A_SAMPLE_NS,  # duration of the delivery-rate sample: (delivered - prior_delivered) / this
    A_TX_INFLIGHT,  # packets in flight just after the newest packet was sent, itself included
    A_LOST_TOTAL,  # packets declared lost so far
    A_TX_LOST_TOTAL,  # and when the newest packet was sent
    A_IN_RECOVERY,  # 1.0 from a loss until a packet sent after it is acknowledged, or a time-out
    A_NEXT_PACKET,  # number of the packet that will be sent next; numbers start at 0
) = range(len(ACK))

# What `on_loss` is told.
LOSS = (
    "now_ns",
    "packet",
    "lost",
    "timeout",
    "new_episode",
    "inflight",
    "prior_inflight",
    "tx_inflight",
    "lost_total",
    "tx_lost_total",
    "delivered",
    "next_packet",
)
(
    L_NOW_NS,
    L_PACKET,  # number of the lost packet; of the oldest one at a time-out
    L_LOST,  # packets declared lost at once: 1, or all that were in flight at a time-out
    L_TIMEOUT,  # 1.0 at a retransmission time-out
    L_NEW_EPISODE,  # 1.0 if it was sent after the last episode began, and at each time-out
    L_INFLIGHT,  # packets in flight after
    L_PRIOR_INFLIGHT,  # packets in flight before this ACK, or before the time-out
    L_TX_INFLIGHT,  # packets in flight just after the lost packet was sent, itself included
    L_LOST_TOTAL,  # packets declared lost so far, this one included
    L_TX_LOST_TOTAL,  # and when the lost packet was sent
    L_DELIVERED,
    L_NEXT_PACKET,
) = range(len(LOSS))

# What `on_interval` is told of a monitor interval, and `on_interval_start` of the one that begins
# (there only the first three columns and `srtt_ns`, `min_rtt_ns` are set).
INTERVAL = (
    "now_ns",
    "id",
    "start_ns",
    "end_ns",
    "sent",
    "acked",
    "lost",
    "send_span_ns",
    "ack_span_ns",
    "mean_rtt_ns",
    "first_half_rtt_ns",
    "second_half_rtt_ns",
    "least_rtt_ns",
    "rtt_slope",
    "pacing_bps",
    "srtt_ns",
    "min_rtt_ns",
)
(
    I_NOW_NS,
    I_ID,  # 0, 1, 2, ... in the order in which intervals begin
    I_START_NS,
    I_END_NS,
    I_SENT,  # packets sent in the interval
    I_ACKED,  # packets of the interval that were acknowledged (see `attribution`)
    I_LOST,  # and that were declared lost
    I_SEND_SPAN_NS,  # first to last send; 0 with fewer than two
    I_ACK_SPAN_NS,  # first to last acknowledged packet's ACK; 0 with fewer than two
    I_MEAN_RTT_NS,  # NaN without a sample, as the four below
    I_FIRST_HALF_RTT_NS,  # mean over the first n // 2 of n samples; NaN if n < 2
    I_SECOND_HALF_RTT_NS,  # mean over the others; NaN if n < 2
    I_LEAST_RTT_NS,
    I_RTT_SLOPE,  # least-squares slope of RTT over send time, ns/ns; 0 with fewer than two
    I_PACING_BPS,  # pacing rate when the interval began
    I_SRTT_NS,  # NaN before the first sample of the connection, as below
    I_MIN_RTT_NS,
) = range(len(INTERVAL))

DURING, SENT = "during", "sent"

Row = "NDArray[np.float64]"
Hook = Callable[[Any, Any, Any], None]


class CongestionController(Protocol):
    """One class per controller: a namespace of data and hooks, never instantiated.

    Hooks get `(state, event, constants)`; only `state` may be changed. A hook that is None is not
    invoked. After any hook, a NaN, or a window, rate or interval that is not positive, ends the
    run with an error that names flow, controller and field; so does a hook that raises.
    """

    name: ClassVar[str]
    """Set by `@register`."""
    state: ClassVar[tuple[str, ...]]
    """Names of all columns of the state: `STATE` first, then its own."""
    parameters: ClassVar[Mapping[str, float]]
    """Name -> default of each parameter; the first entries of the constants, in this order."""
    oracle: ClassVar[bool]
    """True: `init` is shown bottleneck and base RTT. Such a controller cannot exist outside."""
    attribution: ClassVar[str]
    """Which packets a monitor interval counts: `DURING` those acknowledged or declared lost while
    it lasted (PCC-RL), `SENT` those sent while it lasted, reported when all their fates are known
    (PCC, Vivace)."""

    init: ClassVar[Hook]
    """`init(state, flow, constants)`: state is zero but for `seed`; set window, rate, interval."""
    on_ack: ClassVar[Hook | None]
    """Invoked for each arriving ACK, after `on_loss` for losses that it revealed."""
    on_loss: ClassVar[Hook | None]
    """Invoked for each packet declared lost, and once per time-out."""
    on_interval: ClassVar[Hook | None]
    """Invoked when a monitor interval's account is complete. None: no monitor intervals."""
    on_interval_start: ClassVar[Hook | None]
    """Invoked when an interval begins, after `on_interval` if both fall together; the rate set
    here or left from before is the rate of the interval."""


class Controller:
    """Base of controllers: the defaults, and constants from parameters."""

    name: ClassVar[str]
    state: ClassVar[tuple[str, ...]] = STATE
    parameters: ClassVar[Mapping[str, float]] = {}
    oracle: ClassVar[bool] = False
    attribution: ClassVar[str] = DURING
    on_ack: ClassVar[Hook | None] = None
    on_loss: ClassVar[Hook | None] = None
    on_interval: ClassVar[Hook | None] = None
    on_interval_start: ClassVar[Hook | None] = None

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return float64[c]: the parameters, defaults filled in; subclasses may append.

        Raises:
            ValueError: a parameter that the controller does not have, or that is not finite.
        """
        import numpy as np

        for name, value in parameters.items():
            if name not in cls.parameters:
                known = ", ".join(cls.parameters) or "none"
                raise ValueError(f"controller {cls.name!r} has no parameter {name!r} ({known})")
            if not isinstance(value, int | float) or not np.isfinite(value):
                raise ValueError(f"controller {cls.name!r}: parameter {name!r} is {value}")
        return np.array([parameters.get(n, d) for n, d in cls.parameters.items()], np.float64)

    @classmethod
    def constants_for(
        cls, parameters: Mapping[str, float], attribution: str
    ) -> NDArray[np.float64]:
        """Return the constants for a flow whose monitor intervals count as `attribution` says.

        A flow may count otherwise than its controller would. Most controllers do not care; one
        whose arithmetic depends on it overrides this.

        Raises:
            ValueError: as `constants`.
        """
        return cls.constants(parameters)
