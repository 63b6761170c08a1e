"""What must hold in every run, read from its trace: fates, causality, order, luck, monotonicity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.net import result
from sim.net.engine import simulate
from sim.net.links import Bernoulli, CoDel, Constant, DropTail, Link, Red, Stepped
from sim.net.scenario import SECOND, Flow, Scenario, Sizes, Source
from tests.net.scenarios import MS, link, over, rows

CONTROLLERS = ["reno", "cubic", "bbr", "bbr3", "vegas", "copa", "allegro", "vivace"]


def mixed(controller: str, seed: int = 0) -> Scenario:
    """Return two lossy links of several kinds, shared by a flow, a rival and two sources."""
    links = (
        Link(Constant(2e7), 5 * MS, DropTail(packets=60), Bernoulli(0.002), jitter_ns=MS),
        Link(Stepped((0, 400 * MS), (1e7, 3e7), SECOND), 10 * MS, CoDel(100), name="second"),
        Link(Constant(1.5e7), 2 * MS, Red(5.0, 15.0, 40), name="third"),
    )
    sizes = Sizes("uniform", low=100, high=1500)
    flows = (
        Flow(controller, path=(0, 1), start_rate_bps=1e6),
        Flow("reno", path=(1, 2), ack_every=2),
        Source("poisson", 3e6, (0, 2), sizes),
        Source("onoff", 8e6, (2,), sizes, on_ns=200 * MS, off_ns=300 * MS),
    )
    return Scenario(links, flows, 10 * SECOND, seed)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_every_packet_has_one_fate_and_time_runs_forward(controller: str):
    scenario = mixed(controller)
    found = simulate(scenario, trace=True)
    assert found.trace is not None
    assert found.trace["time_ns"].max() <= scenario.duration_ns
    for index, flow in enumerate(scenario.flows):
        sent = rows(found, result.T_SEND, index)
        delivered, dropped = rows(found, result.T_DELIVER, index), rows(found, result.T_DROP, index)
        assert len(sent) > 100
        # Packets are numbered as they are sent, and nothing overtakes on one path.
        assert (sent["number"] == np.arange(len(sent))).all()
        assert (np.diff(sent["time_ns"]) >= 0).all()
        assert (np.diff(delivered["number"]) > 0).all()
        assert (np.diff(delivered["time_ns"]) > 0).all()
        # One fate each, or none yet.
        fates = np.concatenate([delivered["number"], dropped["number"]])
        assert len(np.unique(fates)) == len(fates)
        assert len(sent) - len(fates) == found.in_network[index]
        # A delivery comes after propagation and waiting.
        least = sum(scenario.links[hop].delay_ns for hop in flow.path)
        took = delivered["time_ns"] - sent["time_ns"][delivered["number"]]
        assert (took > least + delivered["value"]).all()
        assert (delivered["value"] >= 0).all()
        assert (dropped["time_ns"] >= sent["time_ns"][dropped["number"]]).all()
        assert (dropped["value"] % 8 < len(result.CAUSES)).all()


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_senders_know_only_what_has_reached_them(controller: str):
    scenario = mixed(controller)
    found = simulate(scenario, trace=True)
    sent, acks = rows(found, result.T_SEND), rows(found, result.T_ACK)
    delivered, lost = rows(found, result.T_DELIVER), rows(found, result.T_LOST)
    arrived = dict(zip(delivered["number"].tolist(), delivered["time_ns"].tolist(), strict=True))
    back = scenario.return_delay_ns(scenario.flows[0])  # type: ignore[arg-type]
    for ack in acks:  # one per packet
        assert ack["time_ns"] == arrived[int(ack["number"])] + back
    assert (acks["value"] == acks["time_ns"] - sent["time_ns"][acks["number"]]).all()
    # A loss is noticed with the ACK of a packet at least 3 later, and is a drop.
    newest = dict(zip(acks["time_ns"].tolist(), acks["number"].tolist(), strict=True))
    dropped = set(rows(found, result.T_DROP)["number"].tolist())
    assert len(lost) > 0
    for loss in lost:
        assert newest[int(loss["time_ns"])] >= loss["number"] + 3
        assert int(loss["number"]) in dropped
    # What is in flight never passes the window, which is that of the latest ACK, time-out or
    # interval. (A loss comes with an ACK, whose window counts; in the trace it stands behind it.)
    trace = found.trace
    assert trace is not None
    deciding = (trace["kind"] >= result.T_ACK) & (trace["kind"] != result.T_LOST)
    changes = trace[(trace["flow"] == 0) & deciding]
    place = np.searchsorted(changes["time_ns"], sent["time_ns"], side="left") - 1
    settled = (place >= 0) & ~np.isin(sent["time_ns"], changes["time_ns"])
    allowed = np.maximum(changes["cwnd"][place[settled]], 1.0)
    assert (sent["value"][settled] <= allowed).all()


def test_the_same_seed_is_the_same_run_and_another_is_not():
    first, again = (simulate(mixed("cubic"), trace=True) for _ in range(2))
    other = simulate(mixed("cubic", seed=1), trace=True)
    assert first.trace is not None
    assert again.trace is not None
    assert other.trace is not None
    assert first.trace.tobytes() == again.trace.tobytes()
    assert first.waits.tobytes() == again.waits.tobytes()
    assert first.trace.tobytes() != other.trace.tobytes()


def test_a_trace_changes_nothing():
    traced, plain = simulate(mixed("bbr"), trace=True), simulate(mixed("bbr"))
    assert plain.trace is None
    assert (traced.totals == plain.totals).all()
    assert (traced.links == plain.links).all()


def test_controllers_meet_the_same_losses():
    # One flow over one link: the n-th packet that arrives is packet n, whoever sent it.
    lost: dict[str, set[int]] = {}
    least = 10**9
    for controller in ("reno", "cubic", "bbr", "vivace"):
        lossy = link(5e7, 10, 10**6, Bernoulli(0.01))
        found = simulate(over(lossy, Flow(controller), 30, seed=7), trace=True)
        drops = rows(found, result.T_DROP)
        assert (drops["value"] % 8 == result.CAUSES.index("loss")).all()
        lost[controller] = set(drops["number"].tolist())
        least = min(least, int(found.totals[0, result.SENT]))
    assert least > 5000
    common = {name: {n for n in numbers if n < least} for name, numbers in lost.items()}
    assert len(common["reno"]) > 30
    assert all(numbers == common["reno"] for numbers in common.values())


def test_sources_send_the_same_whatever_the_controllers():
    arrivals: list[Any] = []
    for controller in ("reno", "bbr"):
        scenario = mixed(controller)
        arrivals.append(rows(simulate(scenario, trace=True), result.T_SEND, 2))
    assert arrivals[0].tobytes() == arrivals[1].tobytes()


@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr", "bbr3", "copa", "vegas"])
def test_more_capacity_is_never_less_goodput(controller: str):
    goodputs = []
    for rate in (2e6, 4e6, 8e6, 16e6, 32e6):
        queue = round(rate * 0.04 / 8 / 1514)  # the bandwidth-delay product
        found = simulate(over(link(rate, 20, queue), Flow(controller), 60, from_s=20))
        goodputs.append(found.goodput_bps()[0])
        # Payload is 1448 of 1514 bytes on the wire.
        assert goodputs[-1] <= rate * 1448 / 1514 * (1.0 + 1e-3)
    # Twice the capacity; each of them uses at least three quarters of it.
    assert (np.diff(goodputs) > 0).all()


def test_a_faster_open_loop_source_waits_and_loses_more():
    scenario = over(link(8e6, 0, 20), Source("poisson", 1e6, sizes=Sizes(mean=1000.0)), 100)
    waits, losses = [], []
    for rate in np.arange(2e6, 12e6, 1e6):
        source = replace(scenario.flows[0], rate_bps=float(rate))
        found = simulate(replace(scenario, flows=(source,)))
        waits.append(found.mean_wait_ns()[0])
        losses.append(found.loss()[0])
    # The same seed stretches the same arrivals, so that no noise can turn the order around.
    assert (np.diff(waits) > 0).all()
    assert (np.diff(losses) >= 0).all()
    assert losses[-1] > 0.2
