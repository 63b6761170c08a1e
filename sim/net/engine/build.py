"""From a scenario to an arena, and from an arena that is short of room to a larger one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from policies.congestion import base
from policies.congestion.hooks import address
from sim.net import capacity, luck, source_draws
from sim.net.codel import ROW as CODEL_ROW
from sim.net.engine import layout as at
from sim.net.engine.faults import wrong_field
from sim.net.flow_facts import flow_row
from sim.net.links import (
    Bernoulli,
    CoDel,
    Constant,
    DropTail,
    GilbertElliott,
    Link,
    Opportunities,
    Red,
    Stepped,
)
from sim.net.policy_checks import describe, describe_raised
from sim.net.problems import PolicyError
from sim.net.scenario import Flow, Scenario, Source

Arena = NDArray[np.int64]
Seeds = Mapping[str, NDArray[np.uint64]]
FIRST_PACKETS = 256
FIRST_QUEUE = 64
FIRST_TRACE = 4096
GUARD, GUARDS = 0x5AFE_0C0D_E5AF_E0C0, 16
"""What follows each controller's state; a hook that writes there has miscounted its columns."""
PATTERNS = ("constant", "poisson", "onoff")
SOURCE_PURPOSES = ("gaps", "sizes", "periods")
HOOKS = {
    at.ON_ACK: "on_ack",
    at.ON_LOSS: "on_loss",
    at.ON_INTERVAL: "on_interval",
    at.ON_START: "on_interval_start",
}


class Builder:
    """Lays out an arena piece by piece."""

    def __init__(self) -> None:
        self.w: Arena = np.zeros(1024, np.int64)
        self.end = at.HEADER_WIDTH

    @property
    def d(self) -> NDArray[np.float64]:
        """Return the arena seen as float64."""
        return self.w.view(np.float64)

    def take(self, words: int) -> int:
        """Return the handle of `words` fresh zeros."""
        handle, self.end = self.end, self.end + words
        if self.end > len(self.w):
            self.w = np.concatenate([self.w, np.zeros(self.end, np.int64)])
        return handle

    def table(self, values: Any) -> int:
        """Return the handle of a table of integers."""
        handle = self.take(len(values))
        self.w[handle : handle + len(values)] = values
        return handle

    def floats(self, values: Any) -> int:
        """Return the handle of a table of floats."""
        handle = self.take(len(values))
        self.d[handle : handle + len(values)] = values
        return handle


def build(scenario: Scenario, trace: bool) -> Arena:
    """Return the arena of a scenario at time 0; controllers are initialised."""
    b = Builder()
    b.w[at.HORIZON] = scenario.duration_ns
    b.w[at.MEASURE_FROM] = scenario.measure_from_ns
    b.w[at.BIN_NS] = scenario.bin_ns
    b.w[at.BINS] = bins(scenario)
    b.w[at.ACK_ROW] = b.take(at.ROWS[0])
    b.w[at.LOSS_ROW] = b.take(at.ROWS[1])
    b.w[at.INTERVAL_ROW] = b.take(at.ROWS[2])
    b.w[at.START_ROW] = b.take(at.ROWS[2])
    b.w[at.LINK_COUNT] = len(scenario.links)
    b.w[at.FLOW_COUNT] = len(scenario.flows)
    b.w[at.LINKS] = b.take(at.LINK_WIDTH * len(scenario.links))
    b.w[at.FLOWS] = b.take(at.FLOW_WIDTH * len(scenario.flows))
    seeds = luck.seeds(scenario)
    for index in range(len(scenario.links)):
        _lay_link(b, scenario, index, seeds)
    for index, flow in enumerate(scenario.flows):
        if isinstance(flow, Flow):
            _lay_flow(b, scenario, index, flow, seeds)
        else:
            _lay_source(b, scenario, index, flow, seeds)
    _lay_events(b, scenario)
    if trace:
        ring = b.take(FIRST_TRACE * at.TRACE_WIDTH)
        b.w[at.TRACE_RING], b.w[at.TRACE_ROOM] = ring, FIRST_TRACE
    return b.w[: b.end].copy()


def bins(scenario: Scenario) -> int:
    """Return how many bins the series of a scenario have."""
    return -(-scenario.duration_ns // scenario.bin_ns) if scenario.bin_ns else 0


def link_handle(w: Arena, index: int) -> int:
    """Return the handle of a link."""
    return int(w[at.LINKS]) + index * at.LINK_WIDTH


def flow_handle(w: Arena, index: int) -> int:
    """Return the handle of a flow."""
    return int(w[at.FLOWS]) + index * at.FLOW_WIDTH


def _sizes_on(scenario: Scenario, index: int) -> set[int]:
    """Return the packet sizes that pass a link; 0 stands for sizes that are drawn."""
    return {
        flow.packet_bytes
        if isinstance(flow, Flow)
        else (int(flow.sizes.mean + 0.5) if flow.sizes.kind == "fixed" else 0)
        for flow in scenario.flows
        if index in flow.path
    }


def _lay_link(b: Builder, scenario: Scenario, index: int, seeds: Seeds) -> None:
    link = scenario.links[index]
    k = link_handle(b.w, index)
    b.w[k + at.K_INDEX] = index
    b.w[k + at.DELAY] = link.delay_ns
    b.w[k + at.JITTER] = link.jitter_ns
    b.w[k + at.BUSY_UNTIL] = b.w[k + at.LAST_EXIT] = -1
    b.w[k + at.TX_BYTES] = -1
    b.w[k + at.NEXT_DEQUEUE] = at.NEVER
    _lay_capacity(b, k, link)
    _lay_queue(b, k, link)
    _lay_loss(b, k, link)
    sizes = _sizes_on(scenario, index)
    simple = isinstance(link.capacity, Constant) and isinstance(link.queue, DropTail)
    if simple and link.queue.packets and len(sizes) == 1 and 0 not in sizes:  # type: ignore[union-attr]
        b.w[k + at.UNIFORM] = 1
        size = sizes.pop()
        b.w[k + at.TX_BYTES] = size
        b.w[k + at.TX_NS] = capacity.constant_end(0, 8 * size, int(b.w[k + at.K_RATE]))
    b.w[k + at.K_LUCK] = b.table([int(seeds[purpose][index]) for purpose in luck.LINK_PURPOSES])
    b.w[k + at.K_TOTALS] = b.take(at.LINK_TOTALS_WIDTH)
    b.w[k + at.QUEUE] = b.take(FIRST_QUEUE * _queue_width(b.w, k))
    b.w[k + at.QUEUE_MASK] = FIRST_QUEUE - 1
    if any(index in flow.path[:-1] for flow in scenario.flows):
        b.w[k + at.EXITS] = b.take(FIRST_QUEUE * at.QUEUED_WIDTH)
        b.w[k + at.EXITS_MASK] = FIRST_QUEUE - 1


def _queue_width(w: Arena, k: int) -> int:
    return at.QUEUED_WIDTH if w[k + at.QUEUE_KIND] == at.CODEL else at.STARTS_WIDTH


def _lay_capacity(b: Builder, k: int, link: Link) -> None:
    capacity = link.capacity
    if isinstance(capacity, Constant):
        b.w[k + at.K_RATE] = round(capacity.rate_bps)
    elif isinstance(capacity, Stepped):
        b.w[k + at.CAPACITY_KIND] = at.STEPPED
        b.w[k + at.TIMES] = b.table(capacity.at_ns)
        b.w[k + at.RATES] = b.table([round(rate) for rate in capacity.rate_bps])
        b.w[k + at.POINTS] = len(capacity.at_ns)
        b.w[k + at.PERIOD] = capacity.period_ns or 0
    else:
        assert isinstance(capacity, Opportunities)
        b.w[k + at.CAPACITY_KIND] = at.OPPORTUNITIES
        b.w[k + at.TIMES] = b.table(capacity.at_ns)
        b.w[k + at.POINTS] = len(capacity.at_ns)
        b.w[k + at.PERIOD] = capacity.period_ns


def _lay_queue(b: Builder, k: int, link: Link) -> None:
    queue = link.queue
    if isinstance(queue, DropTail):
        b.w[k + at.QUEUE_KIND] = at.TAIL_PACKETS if queue.packets else at.TAIL_BYTES
        b.w[k + at.LIMIT] = queue.packets or queue.bytes or 0
        return
    b.w[k + at.LIMIT] = queue.packets
    if isinstance(queue, Red):
        b.w[k + at.QUEUE_KIND] = at.RED
        b.w[k + at.AQM] = b.floats(
            (0.0, queue.weight, queue.low_packets, queue.high_packets, queue.max_probability)
        )
        b.w[k + at.AQM_COUNT] = -1
    else:
        assert isinstance(queue, CoDel)
        b.w[k + at.QUEUE_KIND] = at.CODEL
        b.w[k + at.AQM] = b.take(len(CODEL_ROW))
        b.w[k + at.AQM_TARGET], b.w[k + at.AQM_INTERVAL] = queue.target_ns, queue.interval_ns


def _lay_loss(b: Builder, k: int, link: Link) -> None:
    loss = link.loss
    if isinstance(loss, Bernoulli) and loss.p > 0.0:
        b.w[k + at.LOSS_KIND] = at.BERNOULLI
        b.d[k + at.LOSS_A] = loss.p
    elif isinstance(loss, GilbertElliott):
        b.w[k + at.LOSS_KIND] = at.GILBERT_ELLIOTT
        fields = (at.LOSS_A, at.LOSS_B, at.LOSS_GOOD, at.LOSS_BAD)
        values = (loss.to_bad, loss.to_good, loss.loss_good, loss.loss_bad)
        for field, value in zip(fields, values, strict=True):
            b.d[k + field] = value


def _lay_common(b: Builder, scenario: Scenario, index: int, flow: Flow | Source) -> int:
    f = flow_handle(b.w, index)
    b.w[f + at.INDEX] = index
    b.w[f + at.START] = b.w[f + at.NEXT_SEND] = flow.start_ns
    b.w[f + at.STOP] = min(flow.stop_ns, at.NEVER)
    b.w[f + at.FIRST_LINK] = link_handle(b.w, flow.path[0])
    following = np.zeros(len(scenario.links), np.int64)
    for here, there in zip(flow.path, flow.path[1:], strict=False):
        following[here] = link_handle(b.w, there)
    b.w[f + at.NEXT_LINKS] = b.table(following)
    b.w[f + at.NEXT_ACK] = b.w[f + at.TIMER] = b.w[f + at.INTERVAL_AT] = at.NEVER
    b.w[f + at.TOTALS_AT] = b.take(at.TOTALS_WIDTH)
    b.w[f + at.WAITS_AT] = b.take(at.HISTOGRAM_WIDTH)
    b.w[f + at.SERIES_AT] = b.take(at.SERIES_WIDTH * bins(scenario))
    return f


def _lay_flow(b: Builder, scenario: Scenario, index: int, flow: Flow, seeds: Seeds) -> None:
    f = _lay_common(b, scenario, index, flow)
    fields = {
        at.PACKET_BYTES: flow.packet_bytes,
        at.PAYLOAD: flow.payload,
        at.RETURN_NS: scenario.return_delay_ns(flow),
        at.BACKOFF: 1,
        at.MIN_RTO: flow.min_rto_ns,
        at.ACK_EVERY: flow.ack_every,
        at.ACK_WAIT: flow.ack_timeout_ns,
        at.LAST_ARRIVED: -1,
        at.RECOVERY_POINT: 0,
        at.MASK: FIRST_PACKETS - 1,
    }
    for field, value in fields.items():
        b.w[f + field] = value
    b.w[f + at.PACKETS] = b.take(FIRST_PACKETS * at.PACKET_WIDTH)
    _lay_controller(b, f, scenario, flow, float(seeds["controller"][index]))


def _lay_controller(b: Builder, f: int, scenario: Scenario, flow: Flow, seed: float) -> None:
    controller = flow.controller_class
    for field, name in HOOKS.items():
        b.w[f + field] = _address(flow, name, getattr(controller, name))
    if flow.counts == base.SENT and controller.on_interval is not None:
        b.w[f + at.ATTRIBUTION] = 1
        b.w[f + at.INTERVALS] = b.take(FIRST_PACKETS * at.INTERVAL_WIDTH)
    constants = flow.constants()
    state = initial_state(scenario, flow, constants, seed)
    b.w[f + at.CONSTANTS], b.w[f + at.CONSTANTS_WIDTH] = b.floats(constants), len(constants)
    b.w[f + at.STATE], b.w[f + at.STATE_WIDTH] = b.floats(state), len(state)
    b.table([GUARD] * GUARDS)


def _address(flow: Flow, name: str, function: Any) -> int:
    """Return the address of a hook, 0 where there is none.

    Raises:
        PolicyError: it is not compiled, or cannot be.
    """
    if function is None:
        return 0
    try:
        return address(function)
    except (TypeError, NumbaError) as error:
        why = str(error).strip().splitlines()[0]
        raise PolicyError(
            f"{flow.label}: {name} does not compile ({why}); the reference engine "
            "(sim.net.reference.network) runs plain Python"
        ) from error


def initial_state(
    scenario: Scenario, flow: Flow, constants: NDArray[np.float64], seed: float
) -> NDArray[np.float64]:
    """Return the controller's state after `init`: float64[len(controller.state)].

    Raises:
        PolicyError: it raised, or left a window, rate or interval that is none.
    """
    controller = flow.controller_class
    state = np.zeros(len(controller.state))
    state[base.SEED] = seed
    try:
        controller.init(state, flow_row(scenario, flow), constants)
    except Exception as error:
        raise PolicyError(describe_raised(flow.label, "init", error, flow.start_ns)) from error
    wrong = wrong_field(state, controller.on_interval is not None)
    if wrong:
        raise PolicyError(describe(flow.label, "init", *wrong, flow.start_ns))
    return state


def _lay_source(b: Builder, scenario: Scenario, index: int, flow: Source, seeds: Seeds) -> None:
    f = _lay_common(b, scenario, index, flow)
    b.w[f + at.KIND] = 1
    b.w[f + at.PATTERN] = PATTERNS.index(flow.pattern)
    b.w[f + at.LUCK] = b.table([int(seeds[purpose][index]) for purpose in SOURCE_PURPOSES])
    b.d[f + at.RATE] = flow.rate_bps
    b.d[f + at.MEAN_GAP] = source_draws.mean_gap_ns(flow.sizes, flow.rate_bps)
    b.w[f + at.ON_NS], b.w[f + at.OFF_NS] = flow.on_ns, flow.off_ns
    b.w[f + at.PERIOD_END] = -1
    b.w[f + at.SIZE_KIND] = source_draws.SIZE_KINDS.index(flow.sizes.kind)
    b.d[f + at.SIZE_MEAN] = flow.sizes.mean
    b.w[f + at.SIZE_LOW], b.w[f + at.SIZE_HIGH] = flow.sizes.low, flow.sizes.high
    values, shares = source_draws.listed_shares(flow.sizes)
    b.w[f + at.SIZES], b.w[f + at.SIZE_COUNT] = b.table(values), len(values)
    b.w[f + at.SHARES] = b.floats(shares)


def _lay_events(b: Builder, scenario: Scenario) -> None:
    """Lay the winner tree over everything that can have events."""
    handles = []
    for index, link in enumerate(scenario.links):
        k = link_handle(b.w, index)
        b.w[k + at.K_ENTITY] = -1
        if isinstance(link.queue, CoDel) or b.w[k + at.EXITS]:
            b.w[k + at.K_ENTITY] = len(handles)
            handles.append(k)
    for index in range(len(scenario.flows)):
        b.w[flow_handle(b.w, index) + at.ENTITY] = len(handles)
        handles.append(flow_handle(b.w, index))
    leaves = 1 << (len(handles) - 1).bit_length()
    b.w[at.ENTITIES] = b.table(handles)
    keys = b.table(np.full(leaves, at.NEVER * 8 + 7))
    b.w[at.KEYS], b.w[at.LEAVES] = keys, leaves
    first_flow = len(handles) - len(scenario.flows)
    for index in range(len(scenario.flows)):
        b.w[keys + first_flow + index] = b.w[flow_handle(b.w, index) + at.NEXT_SEND] * 8 + at.SEND
    winners = np.concatenate([np.zeros(leaves, np.int64), np.arange(leaves)])
    for node in range(leaves - 1, 0, -1):
        left, right = winners[2 * node], winners[2 * node + 1]
        winners[node] = left if b.w[keys + left] <= b.w[keys + right] else right
    b.w[at.WINNERS] = b.table(winners)
