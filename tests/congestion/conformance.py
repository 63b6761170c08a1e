"""The laws of a congestion controller, as a class of tests to inherit.

For a controller of your own:

    class TestMine(ControllerConformance):
        controller = Mine  # the class, or its registered name
        parameters = {"gain": 2.0}  # where they differ from its defaults
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.congestion.base import (
    ACK,
    CONTROLLERS,
    CWND,
    DURING,
    INTERVAL,
    INTERVAL_NS,
    INTERVAL_PACKETS,
    LOSS,
    OWN,
    PACING_BPS,
    SEED,
    SENT,
    STATE,
)
from policies.congestion.hooks import address
from tests.congestion.rows import flow_row, row

HOOKS = ("init", "on_ack", "on_loss", "on_interval", "on_interval_start")
GUARD = 12345.678
MOST_IN_FLIGHT = 64

lenient = settings(
    max_examples=25,
    deadline=None,
    # Each subclass runs the same test; that is what it is for.
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
KINDS = ("ack", "ack", "ack", "loss", "timeout", "interval")
Operations = list[tuple[str, float, float, int]]
operations = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.floats(0.0, 10.0),  # log10 of the ns since the operation before
        st.floats(3.0, 10.0),  # log10 of the RTT in ns: 1 us to 10 s
        st.integers(1, 40),  # packets that are acknowledged or lost at most
    ),
    min_size=1,
    max_size=60,
)


def long_sequence(length: int) -> Operations:
    """Return operations in which losses, time-outs and reports are rare."""
    rng = np.random.default_rng(1)
    kinds = rng.choice(KINDS[2:], length, p=(0.93, 0.03, 0.005, 0.035))
    gaps, rtts = rng.uniform(0.0, 9.0, length), rng.uniform(5.0, 9.0, length)
    counts = rng.integers(1, 40, length)
    return [
        (str(k), float(g), float(r), int(c))
        for k, g, r, c in zip(kinds, gaps, rtts, counts, strict=True)
    ]


@dataclass
class Wire:
    """A made-up connection: rows that a transport could give, though no network would."""

    now: float = 0.0
    next_packet: int = 0
    delivered: int = 0
    lost: int = 0
    revealed: int = 0  # packets lost since the ACK before
    recovery_point: int = 0
    in_recovery: bool = False
    srtt: float = np.nan
    min_rtt: float = np.nan
    intervals: int = 0
    flying: deque[dict[str, float]] = field(default_factory=deque)

    def send(self, cwnd: float) -> None:
        """Send what the window allows, up to a bound; at least one packet is in flight then."""
        while len(self.flying) + 1 <= max(min(cwnd, MOST_IN_FLIGHT), 1.0):
            packet: dict[str, float] = {
                "packet": self.next_packet,
                "prior_delivered": self.delivered,
                "tx_inflight": len(self.flying) + 1,
                "tx_lost_total": self.lost,
            }
            self.flying.append(packet)
            self.next_packet += 1

    def ack(self, rtt: float, count: int) -> dict[str, float]:
        """Return the row of an ACK that covers up to `count` packets."""
        prior, rtt = len(self.flying), float(np.floor(rtt))
        covered = [self.flying.popleft() for _ in range(min(count, prior))]
        newest = covered[-1]
        self.delivered += len(covered)
        self.srtt = rtt if np.isnan(self.srtt) else 0.875 * self.srtt + 0.125 * rtt
        self.min_rtt = float(np.fmin(self.min_rtt, rtt))
        self.in_recovery = self.in_recovery and newest["packet"] < self.recovery_point
        own = {"acked": len(covered), "rtt_ns": rtt, "sample_ns": rtt, "lost": self.revealed}
        self.revealed = 0
        return {
            **newest,
            **own,
            **self._shared(prior),
            "srtt_ns": self.srtt,
            "min_rtt_ns": self.min_rtt,
            "in_recovery": float(self.in_recovery),
        }

    def loss(self) -> dict[str, float]:
        """Return the row of the oldest packet's loss."""
        prior, new = len(self.flying), not self.in_recovery
        packet = self.flying.popleft()
        self.lost += 1
        self.revealed += 1
        self._recover(True)
        return self._lost(packet, prior, 1, timeout=0.0, new_episode=float(new))

    def timeout(self) -> dict[str, float]:
        """Return the row of a time-out: all that is in flight is lost."""
        prior, packet = len(self.flying), self.flying[0]
        self.flying.clear()
        self.lost += prior
        self._recover(False)
        return self._lost(packet, prior, prior, timeout=1.0, new_episode=1.0)

    def interval(self, rtt: float, count: int) -> dict[str, float]:
        """Return the row of a monitor interval; without samples where `count` is odd."""
        self.intervals += 1
        start = self.now - rtt
        seen = count if count % 2 == 0 else 0
        return {
            **self.interval_start(),
            **{"id": self.intervals - 1, "start_ns": start, "end_ns": self.now},
            **{"sent": count + 1, "acked": seen, "lost": count // 4},
            **{"send_span_ns": 0.9 * rtt, "ack_span_ns": 0.8 * rtt if seen else 0.0},
            **dict.fromkeys(INTERVAL[9:13], rtt if seen else np.nan),
            **{"rtt_slope": (count - 20) / 20 if seen else 0.0, "pacing_bps": 1e6 * count},
        }

    def interval_start(self) -> dict[str, float]:
        """Return the row of the interval that begins."""
        known = {"now_ns": self.now, "id": self.intervals, "start_ns": self.now}
        return {**known, "srtt_ns": self.srtt, "min_rtt_ns": self.min_rtt}

    def _recover(self, begins: bool) -> None:
        if not (begins and self.in_recovery):
            self.recovery_point = self.next_packet
        self.in_recovery = begins

    def _lost(
        self, packet: Mapping[str, float], prior: int, lost: int, **flags: float
    ) -> dict[str, float]:
        known = {name: value for name, value in packet.items() if name in LOSS}
        return {**known, **self._shared(prior), "lost": lost, **flags}

    def _shared(self, prior: int) -> dict[str, float]:
        return {
            "now_ns": self.now,
            "inflight": len(self.flying),
            "prior_inflight": prior,
            "lost_total": self.lost,
            "delivered": self.delivered,
            "next_packet": self.next_packet,
        }


def invocations(sequence: Operations, state: Any) -> Iterator[Any]:
    """Yield (hook's name, event row) as `sequence` says; the window in `state` is respected."""
    wire = Wire()
    yield "on_interval_start", row(INTERVAL, wire.interval_start())
    for kind, gap, rtt, count in sequence:
        wire.now = float(np.floor(wire.now + 10.0**gap))
        wire.send(state[CWND])
        if kind == "ack":
            yield "on_ack", row(ACK, wire.ack(10.0**rtt, count))
        elif kind == "loss":
            for _ in range(min(count, len(wire.flying))):
                yield "on_loss", row(LOSS, wire.loss())
        elif kind == "timeout":
            yield "on_loss", row(LOSS, wire.timeout())
        else:
            yield "on_interval", row(INTERVAL, wire.interval(10.0**rtt, count))
            yield "on_interval_start", row(INTERVAL, wire.interval_start())


def same_bits(one: Any, other: Any) -> bool:
    """Return whether two rows are equal, sign of zero included; NaN equals NaN."""
    both_nan = np.isnan(one) & np.isnan(other)
    return bool(np.all((one.view(np.int64) == other.view(np.int64)) | both_nan))


class ControllerConformance:
    """Inherit it and name the controller."""

    controller: ClassVar[Any] = None
    parameters: ClassVar[Mapping[str, float]] = {}

    @cached_property  # a registry reads its folder at each question
    def it(self) -> Any:
        """The controller's class."""
        cls = type(self)
        return (
            CONTROLLERS.get(cls.controller) if isinstance(cls.controller, str) else cls.controller
        )

    def invoke(self, hook: str, *rows: Any, compiled: bool = True) -> None:
        """Invoke a hook if the controller has it."""
        if (function := getattr(self.it, hook)) is not None:
            with np.errstate(all="ignore"):
                result = (function if compiled else function.py_func)(*rows)
            assert result is None, f"{hook} returns {result!r}"

    def begun(self, guarded: bool = False, compiled: bool = True) -> tuple[Any, Any, Any]:
        """Return (memory, state, constants) after `init`; guards surround the state in memory."""
        margin = 16 if guarded else 0
        width = len(self.it.state)
        memory = np.full(width + 2 * margin, GUARD)
        state = memory[margin : margin + width]
        state[:] = 0.0
        state[SEED] = 7.0
        constants = self.it.constants(self.parameters)
        self.invoke("init", state, flow_row(self.it), constants, compiled=compiled)
        return memory, state, constants

    def check_outputs(self, state: Any) -> None:
        """What a transport demands after each hook."""
        for column in (CWND, PACING_BPS):
            assert state[column] > 0.0, f"{STATE[column]} is {state[column]}"
        if self.it.on_interval is not None:
            assert state[INTERVAL_NS] > 0.0, f"interval_ns is {state[INTERVAL_NS]}"
            assert state[INTERVAL_PACKETS] >= 0.0, f"interval_packets is {state[INTERVAL_PACKETS]}"

    def test_the_state_begins_with_the_columns_that_all_share(self) -> None:
        names = self.it.state
        assert names[:OWN] == STATE
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() for name in names)

    def test_its_declarations_are_in_range(self) -> None:
        assert self.it.attribution in (DURING, SENT)
        assert isinstance(self.it.oracle, bool)
        assert self.it.__doc__

    def test_constants_begin_with_the_parameters_in_their_order(self) -> None:
        constants = self.it.constants(self.parameters)
        expected = [self.parameters.get(name, value) for name, value in self.it.parameters.items()]
        assert constants.dtype == np.float64
        assert constants.ndim == 1
        assert constants[: len(expected)].tolist() == expected
        assert np.isfinite(constants).all()

    def test_parameters_that_it_does_not_have_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no_such_parameter"):
            self.it.constants({"no_such_parameter": 1.0})

    def test_parameters_that_are_not_finite_are_refused(self) -> None:
        for name in self.it.parameters:
            for value in (np.nan, np.inf):
                with pytest.raises(ValueError, match=name):
                    self.it.constants({name: value})

    def test_hooks_compile_for_an_engine(self) -> None:
        assert self.it.init is not None
        for name in HOOKS:
            if (function := getattr(self.it, name)) is not None:
                assert address(function) != 0

    def test_init_gives_a_window_and_a_rate(self) -> None:
        memory, state, constants = self.begun(guarded=True)
        self.check_outputs(state)
        assert (memory[:16] == GUARD).all()
        assert (memory[-16:] == GUARD).all()
        assert same_bits(constants, self.it.constants(self.parameters))

    def test_init_twice_gives_the_same(self) -> None:
        assert same_bits(self.begun()[1], self.begun()[1])

    @lenient
    @given(operations)
    def test_no_sequence_of_events_leads_out_of_range(self, sequence: Operations) -> None:
        self.check_range(sequence)

    @lenient
    @given(operations)
    def test_compiled_hooks_equal_their_python_bit_for_bit(self, sequence: Operations) -> None:
        self.check_python(sequence)

    def test_a_long_life_keeps_the_laws_too(self) -> None:
        sequence = long_sequence(2000)
        self.check_range(sequence)
        self.check_python(sequence[:500])

    def check_range(self, sequence: Operations) -> None:
        """Window, rate and interval stay positive; nothing but the state is written."""
        memory, state, constants = self.begun(guarded=True)
        untouched = constants.copy()
        for hook, event in invocations(sequence, state):
            seen = event.copy()
            self.invoke(hook, state, event, constants)
            self.check_outputs(state)
            assert same_bits(event, seen), f"{hook} changed its event"
            assert same_bits(constants, untouched), f"{hook} changed the constants"
            assert state[SEED] == 7.0, f"{hook} changed the seed"
        assert (memory[:16] == GUARD).all(), "wrote before the state"
        assert (memory[-16:] == GUARD).all(), "wrote behind the state"

    def check_python(self, sequence: Operations) -> None:
        """Compiled and interpreted hooks leave the same bits."""
        _, state, constants = self.begun()
        _, interpreted, _ = self.begun(compiled=False)
        assert same_bits(state, interpreted), "init"
        for hook, event in invocations(sequence, state):
            self.invoke(hook, state, event, constants)
            self.invoke(hook, interpreted, event, constants, compiled=False)
            assert same_bits(state, interpreted), hook
