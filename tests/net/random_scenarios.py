"""Random scenarios that reach into every corner of the network model."""

from hypothesis import strategies as st

from policies.congestion.base import CONTROLLERS
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
from sim.net.scenario import Flow, Scenario, Sizes, Source

MS = 1_000_000
RATES = st.sampled_from([1e5, 1.2e6, 3_000_001.0, 1e7, 3e7])


def instants(largest_ns):
    """Return times that often fall on round numbers, so that events coincide."""
    return st.one_of(
        st.integers(0, largest_ns), st.integers(0, largest_ns // MS).map(lambda ms: ms * MS)
    )


@st.composite
def capacities(draw):
    """Return a capacity of any kind."""
    kind = draw(st.sampled_from(["constant", "constant", "stepped", "opportunities"]))
    if kind == "constant":
        return Constant(draw(RATES))
    times = sorted(set(draw(st.lists(instants(300 * MS), min_size=1, max_size=6))))
    if kind == "stepped":
        times = [0, *[time for time in times if time > 0]]
        rates = tuple(draw(RATES) for _ in times)
        period = draw(st.none() | st.just(times[-1] + 40 * MS))
        return Stepped(tuple(times), rates, period)
    times = sorted(draw(st.lists(instants(100 * MS), min_size=1, max_size=40)))
    return Opportunities(tuple(times), times[-1] + draw(st.integers(MS, 20 * MS)))


@st.composite
def queues(draw):
    """Return a queue of any discipline."""
    kind = draw(st.sampled_from(["packets", "packets", "bytes", "red", "codel"]))
    if kind == "bytes":
        return DropTail(bytes=draw(st.integers(1, 60_000)))
    packets = draw(st.sampled_from([1, 2, 5, 30, 200]))
    if kind == "packets":
        return DropTail(packets=packets)
    if kind == "red":
        low = draw(st.floats(0.5, 5.0))
        return Red(low, low + draw(st.floats(0.5, 10.0)), packets, draw(st.floats(0.02, 0.5)), 0.1)
    return CoDel(
        packets, draw(st.sampled_from([MS, 5 * MS])), draw(st.sampled_from([10, 100])) * MS
    )


@st.composite
def losses(draw):
    """Return a loss process, or none."""
    kind = draw(st.sampled_from(["none", "none", "bernoulli", "gilbert"]))
    if kind == "none":
        return None
    if kind == "bernoulli":
        return Bernoulli(draw(st.floats(0.0, 0.3)))
    return GilbertElliott(draw(st.floats(0.0, 0.1)), draw(st.floats(0.1, 1.0)), 0.8, 0.01)


@st.composite
def links(draw, index):
    """Return a link."""
    jitter = draw(st.sampled_from([0, 0, 0, 1, 3 * MS]))
    delay = draw(st.sampled_from([0, 0, MS, 10 * MS]) | st.integers(0, 40 * MS))
    parts = draw(capacities()), delay, draw(queues()), draw(losses()), jitter
    return Link(*parts, name=f"link{index}")


@st.composite
def sizes(draw):
    """Return the packet sizes of a source."""
    kind = draw(st.sampled_from(["fixed", "uniform", "exponential", "listed"]))
    if kind == "uniform":
        return Sizes("uniform", low=64, high=1514)
    if kind == "listed":
        return Sizes("listed", values=(64, 576, 1514), weights=(5.0, 2.0, 3.0))
    return Sizes(kind, mean=draw(st.sampled_from([1.0, 300.0, 1514.0])))


@st.composite
def flows(draw, count, index, names):
    """Return a controlled flow or a source over a random path of `count` links."""
    path = tuple(draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3, unique=True)))
    start = draw(st.just(0) | instants(200 * MS))
    stop = draw(st.sampled_from([4 * 10**18, 4 * 10**18, start + 150 * MS]))
    if draw(st.sampled_from([True, False, False, False])):
        pattern = draw(st.sampled_from(["constant", "poisson", "onoff"]))
        rate = draw(st.sampled_from([1e5, 2e6, 2e7]))
        periods = (20 * MS, 10 * MS) if pattern == "onoff" else (0, 0)
        return Source(pattern, rate, path, draw(sizes()), *periods, start, stop, f"s{index}")
    return Flow(
        draw(st.sampled_from(names)),
        path,
        return_delay_ns=draw(st.none() | instants(50 * MS)),
        start_ns=start,
        stop_ns=stop,
        start_rate_bps=draw(st.sampled_from([1e5, 1e6, 1.2e7])),
        initial_window=draw(st.sampled_from([1, 4, 10])),
        packet_bytes=draw(st.sampled_from([1514, 1514, 1514, 600])),
        ack_every=draw(st.sampled_from([1, 1, 2, 4])),
        ack_timeout_ns=draw(st.sampled_from([MS, 40 * MS])),
        min_rto_ns=draw(st.sampled_from([MS, 30 * MS, 200 * MS])),
        attribution=draw(st.sampled_from([None, None, "sent", "during"])),
        name=f"f{index}",
    )


@st.composite
def scenarios(draw, most_links=3, most_flows=4, duration_ns=600 * MS):
    """Return a scenario."""
    names = CONTROLLERS.names()
    count = draw(st.integers(1, most_links))
    number = draw(st.integers(1, most_flows))
    return Scenario(
        links=tuple(draw(links(i)) for i in range(count)),
        flows=tuple(draw(flows(count, i, names)) for i in range(number)),
        duration_ns=duration_ns + draw(st.integers(-300 * MS, 0)),
        seed=draw(st.integers(0, 1000)),
        measure_from_ns=draw(st.sampled_from([0, 100 * MS])),
        bin_ns=draw(st.sampled_from([0, 50 * MS, 33 * MS])),
    )
