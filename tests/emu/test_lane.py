"""What a link decides on packets: C and Python alike, as sim/net decides, and by the laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emu.relay.lane import DELIVER, DROPPED, LOST, Lane
from sim.net import result
from sim.net.engine import simulate
from sim.net.links import Bernoulli, Constant, DropTail, GilbertElliott, Link, Stepped
from sim.net.luck import seeds
from sim.net.scenario import Scenario, Sizes, Source
from tests.emu.arrivals import MS, arrivals, by_c, by_python, by_twin, links
from tests.needs import need

SEEDS = st.integers(0, 2**64 - 1)
FULL = Link(Constant(1e7), 5 * MS, DropTail(packets=3))


@given(links(), SEEDS, arrivals())
@settings(max_examples=80, deadline=None)
@example(FULL, 0, [])
@example(FULL, 2**64 - 1, [(0, 1514)] * 8)
@example(Link(Stepped((0, 1), (1.0, 1e11), 2), 0, DropTail(packets=1)), 0, [(0, 65_600)] * 3)
def test_c_and_python_decide_alike(link, seed, packets):
    need("cc")
    assert by_c(link, seed, packets) == by_python(link, seed, packets)


def test_twin_as_a_program_decides_alike():
    link = Link(Constant(1e6), MS, DropTail(bytes=9_000), GilbertElliott(0.05, 0.3, 0.8))
    packets = [(i * MS, 60 + 97 * i % 1400) for i in range(300)]
    assert by_twin(link, 7, packets) == by_python(link, 7, packets)


@given(links(), SEEDS, st.lists(st.tuples(st.sampled_from([3e5, 4e6]), st.integers(1, 2000))))
@settings(max_examples=40, deadline=None)
def test_lane_decides_as_the_simulators_link(link, seed, sources):
    """The same arrivals as in the packet engine: the same drops, and deliveries to the ns."""
    flows = [Source("poisson", rate, sizes=Sizes(mean=size)) for rate, size in sources[:3]]
    flows.append(Source("onoff", 2e7, (0,), Sizes(), 20 * MS, 10 * MS))
    scenario = Scenario((link,), tuple(flows), 200 * MS, seed=seed % 2**32)
    trace = simulate(scenario, trace=True).trace
    assert trace is not None
    lane = Lane(link, int(seeds(scenario)["loss"][0]))
    delivered, dropped = [], []
    for row in trace[trace["kind"] == result.T_SEND]:
        size = round(flows[row["flow"]].sizes.mean)
        verdict, at_ns = lane.arrive(int(row["time_ns"]), size)
        packet = (int(row["flow"]), int(row["number"]))
        if verdict == DELIVER and at_ns <= scenario.duration_ns:
            delivered.append((at_ns, *packet))
        elif verdict != DELIVER:
            cause = "loss" if verdict == LOST else "queue"
            dropped.append((int(row["time_ns"]), *packet, result.CAUSES.index(cause)))
    assert sorted(delivered) == _rows(trace, result.T_DELIVER, ())
    assert sorted(dropped) == _rows(trace, result.T_DROP, ("value",))


def _rows(trace, kind, more):
    rows = trace[trace["kind"] == kind]
    return sorted(
        zip(*(rows[c].tolist() for c in ("time_ns", "flow", "number", *more)), strict=True)
    )


@given(links(), SEEDS, arrivals())
def test_packets_neither_vanish_nor_overtake(link, seed, packets):
    decided = by_python(link, seed, packets)
    leaves = [at for verdict, at, _, _ in decided if verdict == DELIVER]
    assert all(later > earlier for earlier, later in itertools.pairwise(leaves))
    arrived = [now for now, _ in packets]
    for now, (verdict, at, _, _) in zip(arrived, decided, strict=True):
        assert at == 0 if verdict != DELIVER else at >= now + link.delay_ns
    if link.loss is None:
        assert LOST not in {verdict for verdict, _, _, _ in decided}


@given(links(), SEEDS, arrivals())
def test_queue_never_holds_more_than_it_may_and_drops_only_when_full(link, seed, packets):
    lane, queue = Lane(link, seed), link.queue
    for now, size in packets:
        waiting, in_bytes = lane.look(now)
        verdict, _ = lane.arrive(now, size)
        full = waiting >= (queue.packets or 1e99) or in_bytes + size > (queue.bytes or 1e99)
        assert full or verdict != DROPPED
        after, bytes_after = lane.look(now)
        assert after <= (queue.packets or 1e99)
        # A packet that finds the link idle is taken, whatever its size, and may wait its turn.
        assert bytes_after <= (queue.bytes or 1e99) or after == 1


@given(arrivals(), st.sampled_from([1e5, 1e7, 3_000_001.0]))
def test_a_steady_link_works_whenever_it_has_work(packets, rate_bps):
    """Lindley: each departure is max(arrival, departure before) + service, to the ns."""
    link = Link(Constant(rate_bps), 3 * MS, DropTail(packets=10**5))
    free = 0
    for (now, size), row in zip(packets, by_python(link, 0, packets), strict=True):
        free = max(now, free) - (-size * 8 * 10**9 // int(rate_bps))
        assert row[:2] == (DELIVER, free + 3 * MS)


def test_looking_changes_nothing():
    packets = [(i * MS, 1514) for i in range(100)]
    watched = Lane(FULL, 0)
    seen = []
    for now, size in packets:
        watched.look(now + 50 * MS)
        seen.append(watched.arrive(now, size))
    assert seen == [row[:2] for row in by_python(FULL, 0, packets)]


@pytest.mark.parametrize("decide", [by_python, by_c])
def test_overload_leaves_at_the_rate_and_fills_the_queue_exactly(decide):
    if decide is by_c:
        need("cc")
    link = Link(Constant(1e7), 0, DropTail(bytes=10 * 1514))
    rows = decide(link, 0, [(i * MS, 1514) for i in range(5000)])
    leaves = [at for verdict, at, _, _ in rows if verdict == DELIVER]
    assert (leaves[-1] - leaves[0]) / (len(leaves) - 1) == 1514 * 8 * 100
    assert max(row[3] for row in rows) == 10 * 1514
    assert len(leaves) == 5000 - sum(row[0] == DROPPED for row in rows)


@pytest.mark.parametrize("decide", [by_python, by_c])
def test_waiting_is_that_of_m_d_1(decide):
    """At load 0.8 the mean wait is rho / (2 (1 - rho)) services (Pollaczek and Khinchine): 2."""
    if decide is by_c:
        need("cc")
    service_ns = 1514 * 8 * 100
    gaps = np.random.default_rng(1).exponential(service_ns / 0.8, 200_000)
    arrived = np.cumsum(gaps).astype(np.int64).tolist()
    rows = decide(Link(Constant(1e7), 0, DropTail(packets=10**5)), 0, [(t, 1514) for t in arrived])
    waits = [row[1] - service_ns - now for now, row in zip(arrived, rows, strict=True)]
    assert np.mean(waits) == pytest.approx(2.0 * service_ns, rel=0.1)


@pytest.mark.parametrize("decide", [by_python, by_c])
@pytest.mark.parametrize(
    ("loss", "share", "burst"),
    [(Bernoulli(0.02), 0.02, 1 / 0.98), (GilbertElliott(0.01, 0.2), 0.01 / 0.21, 5.0)],
)
def test_loss_is_as_asked(decide, loss, share, burst):
    """Shares within 4.5 standard errors; bursts, of geometric length, within 10 %."""
    if decide is by_c:
        need("cc")
    count = 100_000
    link = Link(Constant(1e9), 0, DropTail(packets=10**5), loss)
    rows = decide(link, 12345, [(i * 100_000, 1514) for i in range(count)])
    lost = np.array([row[0] == LOST for row in rows])
    correlation = (2 * burst - 1) if burst > 2 else 1.0
    error = 4.5 * np.sqrt(share * (1 - share) * correlation / count)
    assert lost.mean() == pytest.approx(share, abs=error)
    bursts = np.count_nonzero(np.diff(lost.astype(int)) == 1) + lost[0]
    assert lost.sum() / bursts == pytest.approx(burst, rel=0.1)
