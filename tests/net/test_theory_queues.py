"""The packet engine against queueing theory: D/D/1, M/D/1, M/M/1, M/M/1/K, Little, loss processes.

Means of random runs are compared over independent seeds: with 16 of them a true mean lies outside
+-4.1 standard errors once in a thousand times (Student's t, 15 degrees of freedom). The seeds are
fixed, so a test that passes once passes always. That the error is small enough to tell theory from
a wrong theory is asserted too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from sim.net import result
from sim.net.engine import simulate
from sim.net.links import Bernoulli, GilbertElliott
from sim.net.scenario import SECOND, Flow, Scenario, Sizes, Source
from tests.net.scenarios import MS, link, over, rows

SEEDS = 16
ERRORS = 4.1
PACKET_BYTES = 1000
MU = 1000.0  # packets/s, so that a packet of PACKET_BYTES takes 1 ms
RATE_BPS = MU * PACKET_BYTES * 8

# Sizes are whole bytes: ceil of an exponential of mean m has the mean 1 / (1 - exp(-1 / m)). With
# m = 4000 that is 0.0125 % more, and the share above the largest packet (65,600) is 8e-8.
MEAN_BYTES = 4000.0
ROUNDED_BYTES = 1.0 / (1.0 - math.exp(-1.0 / MEAN_BYTES))
EXPONENTIAL = Sizes("exponential", MEAN_BYTES)


def constant(load: float, **fields: object) -> Source:
    return Source("constant", load * RATE_BPS, sizes=Sizes(mean=PACKET_BYTES), **fields)  # type: ignore[arg-type]


def assert_mean(measure: Callable[[int], float], expected: float, worth: float) -> None:
    """Check the mean over the seeds against theory; `worth`: the relative error it may have."""
    values = np.array([measure(seed) for seed in range(SEEDS)])
    error = values.std(ddof=1) / math.sqrt(SEEDS)
    assert ERRORS * error < worth * expected
    assert values.mean() == pytest.approx(expected, abs=ERRORS * error)


# D/D/1


@pytest.mark.parametrize("load", [0.3, 0.8, 1.0])
def test_a_steady_source_below_capacity_never_waits(load: float):
    found = simulate(over(link(RATE_BPS), constant(load), 20))
    assert found.totals[0, result.WAIT_MAX_NS] == 0
    assert found.links[0, result.SERVED] == pytest.approx(load * MU * 20, abs=1)


def test_an_overloaded_queue_grows_by_what_is_too_much():
    found = simulate(over(link(RATE_BPS), constant(1.25), 20), trace=True)
    delivered = rows(found, result.T_DELIVER)
    # Packet n is sent at n 0.8 ms and served from n 1 ms on: all of it whole nanoseconds.
    assert (delivered["value"] == delivered["number"] * 200_000).all()


def test_a_full_queue_loses_the_excess():
    found = simulate(over(link(RATE_BPS, packets=50), constant(1.25), 100))
    lost = found.totals[0, result.DROPPED_QUEUE]
    # What is not lost was served at MU or is among the 50 that wait and the one in service.
    assert found.totals[0, result.SENT] - lost == pytest.approx(MU * 100, abs=51)
    assert found.loss()[0] == pytest.approx(1.0 - 1.0 / 1.25, abs=51 / (1.25 * MU * 100))
    # A dropped packet finds 50 waiting and one in service.
    assert 49 * MS < found.totals[0, result.WAIT_MAX_NS] <= 50 * MS


# Random arrivals


def poisson(load: float, sizes: Sizes) -> Source:
    return Source("poisson", load * RATE_BPS, sizes=sizes)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_mean_wait_of_fixed_sizes(load: float):
    def wait(seed: int) -> float:
        source = poisson(load, Sizes(mean=PACKET_BYTES))
        # A queue at load 0.9 forgets within about 10 / (1 - load)^2 services, 1 s.
        found = simulate(over(link(RATE_BPS), source, 1002, from_s=2, seed=seed))
        return found.mean_wait_ns()[0] / 1e9

    assert_mean(wait, load / (2.0 * MU * (1.0 - load)), worth=0.05)


def test_mean_wait_and_tail_of_exponential_sizes():
    load, mu = 0.7, RATE_BPS / (8.0 * ROUNDED_BYTES)
    offered = load * RATE_BPS / (8.0 * MEAN_BYTES)  # packets/s: gaps count sizes before rounding
    scenarios = (
        over(link(RATE_BPS), poisson(load, EXPONENTIAL), 8010, from_s=10, seed=seed)
        for seed in range(SEEDS)
    )
    found = [simulate(scenario) for scenario in scenarios]
    rho = offered / mu
    assert_mean(lambda i: found[i].mean_wait_ns()[0] / 1e9, rho / (mu - offered), worth=0.03)
    # P(wait > t) = rho exp(-(mu - lambda) t)
    for share in (0.5, 0.9, 0.99):
        expected = math.log(rho / (1.0 - share)) / (mu - offered)
        quantiles = [one.wait_quantile_ns(share)[0] / 1e9 for one in found]
        # Half a bin of the histogram is 1.6 %; the standard error of the mean is 1 % at most.
        assert np.mean(quantiles) == pytest.approx(expected, rel=0.016 + ERRORS * 0.01)


@pytest.mark.parametrize(("load", "waiting"), [(0.8, 4), (1.0, 9), (1.5, 4)])
def test_a_short_queue_blocks_and_delays_as_theory_says(load: float, waiting: int):
    places, mu = waiting + 1, RATE_BPS / (8.0 * ROUNDED_BYTES)
    offered = load * RATE_BPS / (8.0 * MEAN_BYTES)
    weights = (offered / mu) ** np.arange(places + 1)
    shares = weights / weights.sum()
    inside = float(shares @ np.arange(places + 1))
    wait = inside / (offered * (1.0 - shares[-1])) - 1.0 / mu
    found = [
        simulate(
            over(
                link(RATE_BPS, packets=waiting),
                poisson(load, EXPONENTIAL),
                1001,
                from_s=1,
                seed=seed,
            )
        )
        for seed in range(SEEDS)
    ]
    assert_mean(lambda i: float(found[i].loss()[0]), shares[-1], worth=0.03)
    assert_mean(lambda i: found[i].mean_wait_ns()[0] / 1e9, wait, worth=0.02)


def test_a_second_link_of_the_same_speed_adds_no_wait():
    # Packets of one size leave the first link at least a service time apart.
    links = (link(RATE_BPS, 3.0), link(RATE_BPS, 5.0))
    source = Source("poisson", 0.9 * RATE_BPS, (0, 1), Sizes(mean=PACKET_BYTES))
    found = simulate(Scenario(links, (source,), 100 * SECOND))
    assert found.links[0, result.L_WAIT_SUM_NS] > 0
    assert found.links[1, result.L_WAIT_SUM_NS] == 0


# Little's law and the limit of the queue


def queue_over_time(found: result.Result, service_ns: int, delay_ns: int):
    """Return times and waiting packets after them, from sends, drops and *deliveries* alone.

    All packets have one size and enter the link as they are sent. Waits are not looked at: a
    packet's service begins its service time and the propagation before its delivery.
    """
    trace = found.trace
    assert trace is not None
    sent = trace[trace["kind"] == result.T_SEND]
    dropped = trace[trace["kind"] == result.T_DROP]
    delivered = trace[trace["kind"] == result.T_DELIVER]
    starts = delivered["time_ns"] - delay_ns - service_ns
    times = np.concatenate([starts, dropped["time_ns"], sent["time_ns"]])
    steps = np.repeat([-1, -1, 1], [len(starts), len(dropped), len(sent)])
    # Who finds the link idle begins service as it is sent: arrivals come last, departures first.
    order = np.lexsort([steps, times])
    return times[order], np.cumsum(steps[order])


@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr"])
def test_littles_law_and_the_queues_limit(controller: str):
    limit, delay = 40, 10 * MS
    # Both stop early, so that every packet's fate is known at the end.
    flow = Flow(controller, packet_bytes=PACKET_BYTES, stop_ns=30 * SECOND)
    source = Source("poisson", 0.3 * RATE_BPS, sizes=Sizes(mean=PACKET_BYTES), stop_ns=flow.stop_ns)
    scenario = Scenario((link(RATE_BPS, 10, limit),), (flow, source), 32 * SECOND)
    found = simulate(scenario, trace=True)
    assert found.in_network.sum() == 0
    times, queue = queue_over_time(found, service_ns=MS, delay_ns=delay)
    assert queue[-1] == 0
    # At one instant an arrival that finds the link idle counts for a moment as waiting.
    lasting = queue[:-1][np.diff(times) > 0]
    assert lasting.min() >= 0
    assert lasting.max() == limit
    area = float(np.sum(queue[:-1] * np.diff(times)))
    delivered = found.totals[:, result.ALL_DELIVERED].sum()
    mean_wait = found.totals[:, result.WAIT_SUM_NS].sum() / delivered
    # L = lambda W, exactly: both sides are sums of whole nanoseconds below 2**53.
    assert area == pytest.approx(delivered * mean_wait, rel=1e-12)
    assert found.links[0, result.BUSY_NS] == delivered * MS


# Loss processes


@pytest.mark.parametrize("p", [1e-4, 0.01, 0.3])
def test_independent_losses_are_binomial(p: float):
    packets = 1_000_000
    lossy = link(RATE_BPS, loss=Bernoulli(p))
    found = simulate(over(lossy, constant(0.9), packets / (0.9 * MU)))
    sent, lost = found.totals[0, [result.SENT, result.DROPPED_LOSS]]
    assert sent == pytest.approx(packets, abs=2)
    # Four standard deviations of the binomial; 6e-5 of true processes fall outside.
    assert lost == pytest.approx(p * sent, abs=4.0 * math.sqrt(sent * p * (1.0 - p)))


@pytest.mark.parametrize(("to_bad", "to_good"), [(0.01, 0.25), (0.001, 0.1), (0.2, 0.9)])
def test_bursts_of_losses(to_bad: float, to_good: float):
    lossy = link(RATE_BPS, loss=GilbertElliott(to_bad, to_good))
    found = simulate(over(lossy, constant(0.9), 400), trace=True)
    drops, sent = rows(found, result.T_DROP)["number"], found.totals[0, result.SENT]
    breaks = np.flatnonzero(np.diff(drops) > 1)
    lengths = np.diff(np.concatenate([[0], breaks + 1, [len(drops)]]))
    bursts = len(lengths)
    # Bursts are geometric, mean 1 / to_good, standard deviation sqrt(1 - to_good) / to_good.
    error = math.sqrt(1.0 - to_good) / to_good / math.sqrt(bursts)
    assert lengths.mean() == pytest.approx(1.0 / to_good, abs=4.0 * error)
    # The share of losses: the variance of the count of a two-state chain with memory
    # r = 1 - to_bad - to_good is n p (1 - p) (1 + r) / (1 - r).
    p, memory = to_bad / (to_bad + to_good), 1.0 - to_bad - to_good
    spread = math.sqrt(p * (1.0 - p) * (1.0 + memory) / (1.0 - memory) / sent)
    assert len(drops) / sent == pytest.approx(p, abs=4.0 * spread)


def test_losses_of_both_states():
    lossy = link(RATE_BPS, loss=GilbertElliott(0.02, 0.1, loss_bad=0.5, loss_good=0.01))
    found = simulate(over(lossy, constant(0.9), 1000))
    bad = 0.02 / 0.12
    # Within the states losses are independent; between them the variance is that of the chain.
    mixed = bad * 0.5 + (1.0 - bad) * 0.01
    chain = bad * (1.0 - bad) * (0.5 - 0.01) ** 2 * (1.88 / 0.12)
    spread = math.sqrt((mixed * (1.0 - mixed) + chain) / found.totals[0, result.SENT])
    assert found.loss()[0] == pytest.approx(mixed, abs=4.0 * spread)
