"""Scenarios and controllers that cannot be: each ends in an error that names part and field."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion import base
from policies.congestion.hooks import hook
from sim.net import policy_checks
from sim.net.engine import Session, simulate
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
from sim.net.problems import PolicyError, ScenarioError
from sim.net.scenario import SECOND, Flow, Scenario, Sizes, Source
from tests.net.scenarios import MS, link, over

NAN, INF = math.nan, math.inf
LINK = Link(Constant(1e7), 10 * MS, DropTail(packets=100), name="L")
FLOW = Flow("cubic", name="F")
SOURCE = Source("onoff", 1e6, on_ns=MS, off_ns=MS, name="S")
SCENARIO = Scenario((LINK,), (FLOW,), SECOND)

# field -> how to put a number into it, and numbers that it must refuse.
Put = Callable[[Any], Scenario]
NUMBERS = (0, -1, 0.0, -1.0, NAN, INF, -INF, 10**30, 1e30, "1", None, True)


def link_with(**fields: Any) -> Scenario:
    return replace(SCENARIO, links=(replace(LINK, **fields),))


def flow_with(**fields: Any) -> Scenario:
    return replace(SCENARIO, flows=(replace(FLOW, **fields),))


def source_with(**fields: Any) -> Scenario:
    return replace(SCENARIO, flows=(replace(SOURCE, **fields),))


def sizes_with(**fields: Any) -> Scenario:
    return source_with(sizes=Sizes(**fields))


LINK_FIELDS: dict[str, Put] = {
    "capacity.rate_bps": lambda x: link_with(capacity=Constant(x)),
    "capacity.rate_bps[1]": lambda x: link_with(capacity=Stepped((0, 5), (1e6, x))),
    "capacity.at_ns[1]": lambda x: link_with(capacity=Stepped((0, x), (1e6, 1e6))),
    "delay_ns": lambda x: link_with(delay_ns=x),
    "jitter_ns": lambda x: link_with(jitter_ns=x),
    "queue.packets": lambda x: link_with(queue=Red(1.0, 2.0, x)),
    "queue.low_packets": lambda x: link_with(queue=Red(x, 1e8, 9)),
    "queue.high_packets": lambda x: link_with(queue=Red(1.0, x, 9)),
    "queue.max_probability": lambda x: link_with(queue=Red(1.0, 2.0, 9, max_probability=x)),
    "queue.weight": lambda x: link_with(queue=Red(1.0, 2.0, 9, weight=x)),
    "queue.target_ns": lambda x: link_with(queue=CoDel(9, target_ns=x)),
    "queue.interval_ns": lambda x: link_with(queue=CoDel(9, interval_ns=x)),
    "loss.p": lambda x: link_with(loss=Bernoulli(x)),
    "loss.to_bad": lambda x: link_with(loss=GilbertElliott(x, 0.1)),
    "loss.to_good": lambda x: link_with(loss=GilbertElliott(0.1, x)),
    "loss.loss_bad": lambda x: link_with(loss=GilbertElliott(0.1, 0.1, x)),
    "loss.loss_good": lambda x: link_with(loss=GilbertElliott(0.1, 0.1, 1.0, x)),
}
FLOW_FIELDS: dict[str, Put] = {
    "start_ns": lambda x: flow_with(start_ns=x),
    "stop_ns": lambda x: flow_with(stop_ns=x),
    "path[0]": lambda x: flow_with(path=(x,)),
    "return_delay_ns": lambda x: flow_with(return_delay_ns=x),
    "start_rate_bps": lambda x: flow_with(start_rate_bps=x),
    "initial_window": lambda x: flow_with(initial_window=x),
    "packet_bytes": lambda x: flow_with(packet_bytes=x, payload_bytes=1),
    "payload_bytes": lambda x: flow_with(payload_bytes=x),
    "ack_every": lambda x: flow_with(ack_every=x),
    "ack_timeout_ns": lambda x: flow_with(ack_timeout_ns=x),
    "min_rto_ns": lambda x: flow_with(min_rto_ns=x),
}
SOURCE_FIELDS: dict[str, Put] = {
    "rate_bps": lambda x: source_with(rate_bps=x),
    "on_ns": lambda x: source_with(on_ns=x),
    "off_ns": lambda x: source_with(off_ns=x),
    "sizes.mean": lambda x: sizes_with(mean=x),
    "sizes.low": lambda x: sizes_with(kind="uniform", low=x, high=1500),
    "sizes.high": lambda x: sizes_with(kind="uniform", low=100, high=x),
    "sizes.values": lambda x: sizes_with(kind="listed", values=(x,), weights=(1.0,)),
    "sizes.weights": lambda x: sizes_with(kind="listed", values=(1,), weights=(x,)),
}
SCENARIO_FIELDS: dict[str, Put] = {
    "duration_ns": lambda x: replace(SCENARIO, duration_ns=x),
    "seed": lambda x: replace(SCENARIO, seed=x),
    "measure_from_ns": lambda x: replace(SCENARIO, measure_from_ns=x),
    "bin_ns": lambda x: replace(SCENARIO, bin_ns=x),
}
PARTS = (
    ("link 'L'", LINK_FIELDS),
    ("flow 'F'", FLOW_FIELDS),
    ("source 'S'", SOURCE_FIELDS),
    ("scenario", SCENARIO_FIELDS),
)
FIELDS = [(part, field, put) for part, fields in PARTS for field, put in fields.items()]

ZERO_IS_FINE = {
    "delay_ns",
    "jitter_ns",
    "start_ns",
    "return_delay_ns",
    "path[0]",
    "measure_from_ns",
    "bin_ns",
    "seed",
    "loss.p",
    "loss.to_bad",
    "loss.loss_bad",
    "loss.loss_good",
}
NONE_IS_FINE = {"return_delay_ns", "start_rate_bps", "payload_bytes"}


def is_allowed(field: str, value: Any) -> bool:
    """Return whether a number of NUMBERS is one that the field takes."""
    if value is None:
        return field in NONE_IS_FINE
    if value in (10**30, 1e30) and field == "sizes.weights":
        return True  # only their ratios count
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        whole = isinstance(value, int)
        return field in ZERO_IS_FINE and (whole or field.startswith("loss."))
    return False


@pytest.mark.parametrize(("part", "field", "put"), FIELDS, ids=lambda x: x if x is str else None)
def test_a_number_out_of_range_is_refused_by_name(part: str, field: str, put: Put):
    refused = 0
    for value in NUMBERS:
        if is_allowed(field, value):
            put(value)
            continue
        with pytest.raises(ScenarioError) as raised:
            put(value)
        assert str(raised.value).startswith(f"{part}: {field}")
        assert repr(value) in str(raised.value)
        refused += 1
    assert refused >= len(NUMBERS) - 4


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(FIELDS), st.one_of(st.floats(), st.integers(-(10**20), 10**20)))
def test_any_number_is_taken_or_refused_by_name(case: tuple[str, str, Put], value: float):
    part, _, put = case
    refusal = ""
    try:
        scenario = put(value)
    except ScenarioError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith(f"{part}: ")
        return
    assert value >= 0
    # What is taken can be laid out and begun.
    assert Session(scenario).now_ns == 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: replace(SCENARIO, links=()), "scenario: needs at least one link"),
        (lambda: replace(SCENARIO, flows=()), "scenario: needs at least one link and one flow"),
        (lambda: link_with(queue=DropTail()), r"link 'L': queue needs one limit"),
        (lambda: link_with(queue=DropTail(1, 1)), r"link 'L': queue needs one limit"),
        (lambda: link_with(queue=DropTail(packets=0)), r"link 'L': queue.packets"),
        (lambda: link_with(queue=DropTail(bytes=-1)), r"link 'L': queue.bytes"),
        (lambda: link_with(queue=7), r"link 'L': queue is 7"),
        (lambda: link_with(capacity=1e6), r"link 'L': capacity is 1000000"),
        (lambda: link_with(loss=0.1), r"link 'L': loss is 0.1"),
        (lambda: link_with(capacity=Opportunities((), 5)), r"link 'L': capacity.at_ns"),
        (lambda: link_with(capacity=Opportunities((3, 2), 5)), r"link 'L': capacity.at_ns\[1\]"),
        (lambda: link_with(capacity=Opportunities((3,), 3)), r"link 'L': capacity.period_ns"),
        (lambda: link_with(capacity=Stepped((1,), (1e6,))), r"link 'L': capacity.at_ns must begin"),
        (lambda: link_with(capacity=Stepped((0,), ())), r"link 'L': capacity needs as many times"),
        (lambda: flow_with(path=()), r"flow 'F': path holds no link"),
        (lambda: flow_with(path=(0, 0)), r"flow 'F': path passes a link twice"),
        (lambda: flow_with(path=(1,)), r"flow 'F': path\[0\]"),
        (lambda: flow_with(attribution="sometimes"), r"flow 'F': attribution"),
        (lambda: flow_with(parameters={"beta": NAN}), r"flow 'F': parameters: .*'beta' is nan"),
        (lambda: flow_with(parameters={"gamma": 1}), r"flow 'F': parameters: .*'gamma'"),
        (lambda: flow_with(parameters={"beta": 2.0}), r"flow 'F': parameters: .*beta"),
        (lambda: flow_with(controller=object), r"flow 'F': controller .* is not a controller"),
        (lambda: source_with(pattern="brownian"), r"source 'S': pattern"),
        (lambda: sizes_with(kind="odd"), r"source 'S': sizes.kind"),
        (lambda: sizes_with(kind="listed"), r"source 'S': sizes needs"),
    ],
)
def test_what_does_not_fit_together_is_refused(build: Callable[[], Scenario], message: str):
    with pytest.raises(ScenarioError, match=message):
        build()


def test_an_unknown_controller_is_named():
    with pytest.raises(LookupError, match="cubik"):
        flow_with(controller="cubik")


# Controllers that answer nonsense

VALUE, COLUMN, WHERE = range(3)
IN_INIT, IN_ACK, IN_LOSS, IN_INTERVAL, IN_START = range(5)
HOOKS = ("init", "on_ack", "on_loss", "on_interval", "on_interval_start")
COLUMNS = ("cwnd", "pacing_bps", "interval_ns", "interval_packets")


@hook
def _init(state: Any, flow: Any, constants: Any) -> None:
    state[base.CWND] = flow[base.INITIAL_WINDOW]
    state[base.PACING_BPS] = 5e6
    state[base.INTERVAL_NS] = 50e6
    if constants[WHERE] == IN_INIT:
        state[int(constants[COLUMN])] = constants[VALUE]


@hook
def _on_ack(state: Any, event: Any, constants: Any) -> None:
    if constants[WHERE] == IN_ACK:
        state[int(constants[COLUMN])] = constants[VALUE]


@hook
def _on_loss(state: Any, event: Any, constants: Any) -> None:
    if constants[WHERE] == IN_LOSS:
        state[int(constants[COLUMN])] = constants[VALUE]


@hook
def _on_interval(state: Any, event: Any, constants: Any) -> None:
    if constants[WHERE] == IN_INTERVAL:
        state[int(constants[COLUMN])] = constants[VALUE]


@hook
def _on_start(state: Any, event: Any, constants: Any) -> None:
    if constants[WHERE] == IN_START and event[base.I_ID] > 0.0:
        state[int(constants[COLUMN])] = constants[VALUE]


class Nonsense(base.Controller):
    """Leaves `value` in a column; parameters come as constants, so that NaN is possible."""

    name = "nonsense"
    init, on_ack, on_loss = _init, _on_ack, _on_loss
    on_interval, on_interval_start = _on_interval, _on_start

    @classmethod
    def constants(cls, parameters: Any) -> Any:
        import numpy as np

        return np.array([parameters["value"], parameters["column"], parameters["where"]])


def nonsense(where: int, column: int, value: float) -> Scenario:
    flow = Flow(Nonsense, parameters={"value": value, "column": column, "where": where}, name="F")
    lossy = link(1e7, 10, 100, Bernoulli(0.2))
    return over(lossy, flow, 1.0, seed=1)


@pytest.mark.parametrize("value", [NAN, 0.0, -1.0, -INF])
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("where", range(5))
def test_a_value_that_is_none_ends_the_run(where: int, column: int, value: float):
    if COLUMNS[column] == "interval_packets" and value == 0.0:
        assert simulate(nonsense(where, column, value)).totals[0, 0] > 0
        return
    with pytest.raises(PolicyError) as raised:
        simulate(nonsense(where, column, value))
    said = f"flow 'F' (nonsense): {HOOKS[where]} left {COLUMNS[column]} = {value:g} at "
    assert str(raised.value).startswith(said)
    at_s = float(str(raised.value).removeprefix(said).removesuffix(" s"))
    # `init` acts at once, an interval after 50 ms, and no ACK comes before the round trip.
    earliest = {IN_INIT: 0.0, IN_ACK: 0.02, IN_LOSS: 0.02, IN_INTERVAL: 0.05, IN_START: 0.05}
    assert earliest[where] <= at_s <= (0.0 if where == IN_INIT else 1.0)


@hook
def _raise_on_ack(state: Any, event: Any, constants: Any) -> None:
    if event[base.A_NOW_NS] > 0.0:
        raise ArithmeticError("no idea")


@hook
def _raise_on_interval(state: Any, event: Any, constants: Any) -> None:
    if event[base.I_ID] == 2.0:
        raise ArithmeticError("no idea")


@hook
def _raise_in_init(state: Any, flow: Any, constants: Any) -> None:
    if flow[base.INITIAL_WINDOW] > 0.0:
        raise ArithmeticError("no idea")


@pytest.mark.parametrize(
    ("name", "function", "at_s"),
    [("init", _raise_in_init, 0.0), ("on_ack", _raise_on_ack, 0.0), ("on_interval", None, 0.15)],
)
def test_a_hook_that_raises_is_named(name: str, function: Any, at_s: float):
    class Raising(Nonsense):
        pass

    Raising.name = "raising"
    setattr(Raising, name, function or _raise_on_interval)
    flow = Flow(Raising, parameters={"value": 0.0, "column": 0, "where": -1}, name="F")
    with pytest.raises(PolicyError) as raised:
        simulate(over(link(1e7, 10, 100), flow, 1.0))
    said = f"flow 'F' (raising): {name} raised ArithmeticError: no idea at "
    assert str(raised.value).startswith(said)
    when = float(str(raised.value).removeprefix(said).removesuffix(" s"))
    if name == "on_ack":
        assert when == pytest.approx(0.02 + 1514 * 8 / 1e7, abs=1e-9)
    else:
        assert when == at_s


@hook
def _flood(state: Any, flow: Any, constants: Any) -> None:
    state[base.CWND] = state[base.PACING_BPS] = INF


class Flood(base.Controller):
    name = "flood"
    init = _flood


def test_a_flow_without_window_and_rate_is_stopped():
    most = policy_checks.MAX_INFLIGHT
    with pytest.raises(PolicyError, match=rf"flow 'F' \(flood\): {most} packets in flight"):
        simulate(over(link(1e7, 10, 100), Flow(Flood, name="F"), 1.0))


@pytest.mark.parametrize("rate", [0.0, -1.0, NAN])
def test_a_session_refuses_a_rate_that_is_none(rate: float):
    session = Session(SCENARIO)
    with pytest.raises(PolicyError, match=r"flow 'F' \(cubic\): rate_bps must be > 0"):
        session.set_rate(0, rate)
