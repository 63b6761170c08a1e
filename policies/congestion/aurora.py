"""Aurora: a neural network decides once per monitor interval by how much the rate changes.

Jay, Rotman, Godfrey, Schapira, Tamar, "A Deep Reinforcement Learning Perspective on Internet
Congestion Control", ICML 2019, with the network that its authors gave out (PCC-RL, issue 5).
Facts from PCC-RL `src/common/sender_obs.py`, `src/gym/network_sim.py`,
`src/udt-plugins/testing/loaded_client.py` and PCC-Uspace, branch deep-learning, `src/pcc`.

Input: of the last 10 intervals, oldest first, (sent latency inflation, latency ratio, send ratio)
as in `policies.congestion.monitor.features`; an empty interval is (0, 1, 1). Output: the action
of `monitor.apply_action`, here the mean of the policy's Gaussian.

`aurora_gym` is the sender of the training environment: durations are those of whole intervals,
the next one lasts half the last one's mean RTT (unchanged if that had no ACK), 40 to 1000
packets/s. After a warm-up of about three round trips that the history does not see, the first
action is on an empty history, and the interval after it lasts 1.5 round trips.
`aurora_udt` is the deployed sender: twice the step, durations first to last packet, intervals of
at least half a smoothed RTT and 5 packets, 0.5 to 300 Mbit/s, start at 6 Mbit/s.

In both an interval without ACK has the latency ratio 0, below the least value that the features
are declared to have, as in the authors' code.

Deviations:
- aurora_gym: an interval ends at its time; theirs at the first event after it. The warm-up is one
  round trip (10 ms intervals until the first ACK) and twice the RTT of that interval, theirs twice
  1.5 base RTTs, which a sender cannot know. The start rate is the scenario's; theirs is random.
- aurora_udt: an interval counts the packets acknowledged while it lasted, theirs those sent in it,
  one round trip later. RTTs are means over the two halves of the samples, theirs the first and the
  last sample (which the plug-in truncates to whole seconds; not copied). It acts from the first
  interval with an ACK on, theirs from the first completed one.
- Float64 for their float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from numba import njit

from policies.congestion.base import (
    CWND,
    I_ACK_SPAN_NS,
    I_END_NS,
    I_MEAN_RTT_NS,
    I_SEND_SPAN_NS,
    I_SRTT_NS,
    I_START_NS,
    OWN,
    PACING_BPS,
    STATE,
    Controller,
    register,
)
from policies.congestion.hooks import hook
from policies.congestion.monitor import (
    ASSUMED_RTT_NS,
    MEGABIT,
    WAIT_NS,
    apply_action,
    clamp,
    features,
    least_mean_rtt,
    packet_bits,
    plan,
    start_rate,
    window_rate,
)
from policies.congestion.networks import FOLDER, dense, flat_layers, read_safetensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS = FOLDER / "aurora_icml19.safetensors"
HISTORY = 10
SIZES = (30, 32, 16, 1)

PHASE = OWN
LEAST_RTT_NS = OWN + 1
PACKET_BITS = OWN + 2
ACTION = OWN + 3
INPUT = OWN + 4
HIDDEN = INPUT + SIZES[0]
SECOND = HIDDEN + SIZES[1]
COLUMNS = (
    "phase",
    "least_mean_rtt_ns",
    "packet_bits",
    "action",
    *(f"input_{i}" for i in range(SIZES[0])),
    *(f"hidden_{i}" for i in range(SIZES[1])),
    *(f"second_{i}" for i in range(SIZES[2])),
)
# Phases: no ACK yet; warming up (gym only); acting.
SILENT, WARM, ACTING = 0.0, 1.0, 2.0

SCALE, LOW, HIGH, START_BPS = range(4)  # LOW and HIGH: packets/s in the gym, Mbit/s in UDT
PARAMETERS = 4
UDT_PACKETS = 5.0


@njit(cache=True)
def remember(state: Any, interval: Any, durations: Any) -> None:
    """Append an interval's features to the history; `durations` are (send ns, ACK ns)."""
    state[LEAST_RTT_NS] = least_mean_rtt(interval, state[LEAST_RTT_NS])
    inflation, ratio, excess = features(interval, state[LEAST_RTT_NS], durations[0], durations[1])
    last = INPUT + 3 * (HISTORY - 1)
    for i in range(INPUT, last):
        state[i] = state[i + 3]
    state[last] = inflation
    state[last + 1] = ratio
    state[last + 2] = excess


@njit(cache=True)
def decide(state: Any, constants: Any) -> None:
    """Set ACTION to the network's output for the history."""
    at = dense(state, INPUT, SIZES[0], HIDDEN, SIZES[1], constants, PARAMETERS, True)
    at = dense(state, HIDDEN, SIZES[1], SECOND, SIZES[2], constants, at, True)
    dense(state, SECOND, SIZES[2], ACTION, SIZES[3], constants, at, False)


@njit(cache=True)
def act(state: Any, limits: Any, constants: Any) -> None:
    """Change the rate by the network's action within `limits` (bits/s, lower and upper)."""
    decide(state, constants)
    rate = apply_action(state[PACING_BPS], state[ACTION], constants[SCALE])
    state[PACING_BPS] = clamp(rate, limits[0], limits[1])


@njit(cache=True)
def begin(state: Any, flow: Any, start_bps: float) -> None:
    """Set what both profiles share: no window, an empty history, the start rate."""
    state[CWND] = float("inf")
    state[PACKET_BITS] = packet_bits(flow)
    for i in range(HISTORY):
        state[INPUT + 3 * i + 1] = 1.0
        state[INPUT + 3 * i + 2] = 1.0
    plan(state, start_bps, WAIT_NS, 0.0)


@hook
def gym_init(state: Any, flow: Any, constants: Any) -> None:
    """Begin at the parameter's rate, the flow's, or an initial window per 100 ms."""
    bits = packet_bits(flow)
    rate = start_rate(flow, constants[START_BPS], window_rate(flow, ASSUMED_RTT_NS))
    begin(state, flow, clamp(rate, constants[LOW] * bits, constants[HIGH] * bits))


@hook
def gym_on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Warm up, then act after each interval."""
    rtt = interval[I_MEAN_RTT_NS]
    bits = state[PACKET_BITS]
    limits = (constants[LOW] * bits, constants[HIGH] * bits)
    if state[PHASE] == SILENT:
        if rtt > 0.0:
            state[PHASE] = WARM
            plan(state, state[PACING_BPS], 2.0 * rtt, 0.0)
        return
    if state[PHASE] == WARM:
        state[PHASE] = ACTING
        act(state, limits, constants)
        base = rtt if rtt > 0.0 else interval[I_SRTT_NS]
        plan(state, state[PACING_BPS], 1.5 * base if base > 0.0 else WAIT_NS, 0.0)
        return
    span = interval[I_END_NS] - interval[I_START_NS]
    remember(state, interval, (span, span))
    act(state, limits, constants)
    if rtt > 0.0:
        plan(state, state[PACING_BPS], 0.5 * rtt, 0.0)


@hook
def udt_init(state: Any, flow: Any, constants: Any) -> None:
    """Begin at the parameter's rate, the flow's, or 6 Mbit/s."""
    rate = start_rate(flow, constants[START_BPS], 6.0 * MEGABIT)
    begin(state, flow, clamp(rate, constants[LOW] * MEGABIT, constants[HIGH] * MEGABIT))


@njit(cache=True)
def udt_listen(state: Any, interval: Any) -> bool:
    """Take an interval into the history; whether there has been an ACK, so that one is to act."""
    if state[PHASE] == SILENT:
        if not interval[I_MEAN_RTT_NS] > 0.0:
            return False
        state[PHASE] = ACTING
    remember(state, interval, (interval[I_SEND_SPAN_NS], interval[I_ACK_SPAN_NS]))
    return True


@njit(cache=True)
def udt_steer(state: Any, interval: Any, constants: Any) -> None:
    """Change the rate by ACTION and plan the next interval."""
    rate = apply_action(state[PACING_BPS], state[ACTION], constants[SCALE])
    rate = clamp(rate, constants[LOW] * MEGABIT, constants[HIGH] * MEGABIT)
    rtt = interval[I_SRTT_NS]
    plan(state, rate, 0.5 * rtt if rtt > 0.0 else WAIT_NS, UDT_PACKETS)


@hook
def udt_on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Act after each interval, from the first one with an ACK on."""
    if udt_listen(state, interval):
        decide(state, constants)
        udt_steer(state, interval, constants)


class Aurora(Controller):
    """What both profiles share: state, weights as constants after the parameters."""

    state: ClassVar[tuple[str, ...]] = STATE + COLUMNS

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return float64[4 + 1537]: the parameters, then the weights layer by layer.

        Raises:
            ValueError: a parameter is unknown, not finite or out of range, or the file of
                weights is damaged.
        """
        import numpy as np

        own = super().constants(parameters)
        if not (own[SCALE] > 0.0 and 0.0 < own[LOW] <= own[HIGH] and own[START_BPS] >= 0.0):
            raise ValueError(f"controller {cls.name!r}: parameters out of range: {own.tolist()}")
        return np.concatenate([own, flat_layers(read_safetensors(WEIGHTS), SIZES)])


@register("aurora_gym")
class AuroraGym(Aurora):
    """Aurora as in its training environment.

    Parameters: `scale` of actions; `min_pps`, `max_pps`, packets/s; `start_bps`, bits/s (0: the
    flow's start rate, else an initial window per 100 ms).
    """

    parameters: ClassVar[Mapping[str, float]] = {
        "scale": 0.025,
        "min_pps": 40.0,
        "max_pps": 1000.0,
        "start_bps": 0.0,
    }
    init = gym_init
    on_interval = gym_on_interval


@register("aurora_udt")
class AuroraUdt(Aurora):
    """Aurora as deployed over UDT.

    Parameters: `scale` of actions; `min_mbps`, `max_mbps`, 1e6 bits/s; `start_bps`, bits/s (0:
    the flow's start rate, else 6 Mbit/s).
    """

    parameters: ClassVar[Mapping[str, float]] = {
        "scale": 0.05,
        "min_mbps": 0.5,
        "max_mbps": 300.0,
        "start_bps": 0.0,
    }
    init = udt_init
    on_interval = udt_on_interval
