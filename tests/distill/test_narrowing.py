"""A narrowed environment draws links of its box alone, and hardly fewer than all of those."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.distill.contexts import CONDITIONS, Context
from policies.distill.teacher_config import corrected_links, legacy
from policies.distill.worlds import CORRECTED, World, seeds_of
from sim.net.envs.config import EnvConfig
from sim.net.envs.draws import LINK, environment_stream, episode_stream, uniform

LUCK = [0.0, 2.0**-53, 0.25, 0.5, 0.99, 1.0 - 2.0**-53]
"""The first and the last number that a stream can give, and some between."""


def drawn(config: EnvConfig, luck: list[float]) -> dict[str, np.ndarray]:
    """Return the links that the kernel draws with these numbers, in plain Python."""

    def between(ends: tuple[float, float], u: float, logarithmic: bool = False) -> float:
        low, high = (math.log(end) for end in ends) if logarithmic else ends
        value = low + (high - low) * u
        return math.exp(value) if logarithmic else value

    rows = [
        (
            int(between(config.bandwidth_bps, u, config.log_bandwidth) + 0.5),
            int(between(config.delay_s, u, config.log_delay) * 1e9 + 0.5) * 1e-9,
            1 + int(math.exp(between(config.queue_log, u))),
            between(config.loss, u),
        )
        for u in luck
    ]
    return dict(zip(CONDITIONS, np.array(rows, np.float64).T, strict=True))


def test_the_plain_draw_is_the_kernels() -> None:
    config = corrected_links(warmup_intervals=0)
    batch = World(CORRECTED, config).batch(200)
    seeds = seeds_of("train", 5, 200)
    batch.seed(list(seeds))
    batch.begin()
    links = batch.links()
    for place, seed in enumerate(seeds):
        source = np.uint64(episode_stream(environment_stream(seed, CORRECTED, place), 0, LINK))
        for number, name in enumerate(CONDITIONS, start=1):
            assert drawn(config, [uniform(source, number)])[name] == links[name][place]


def sorted_pair(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.floats(low, high)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    return World(
        CORRECTED,
        EnvConfig(
            bandwidth_bps=draw(sorted_pair(1e3, 1e11)),
            log_bandwidth=draw(st.booleans()),
            delay_s=draw(sorted_pair(1e-6, 100.0)),
            log_delay=draw(st.booleans()),
            queue_log=draw(sorted_pair(0.0, 16.0)),
            loss=draw(sorted_pair(0.0, 0.99)),
            warmup_intervals=0,
        ),
    )


@st.composite
def boxes(draw: st.DrawFn, world: World) -> Context:
    """Return a box with ends where links of the world are, also on the grids, and beyond them."""
    ranges = {}
    for name in CONDITIONS:
        exact = drawn(world.config, [draw(st.sampled_from(LUCK)) for _ in range(2)])[name]
        low, high = (drawn(world.config, [u])[name][0] for u in (0.0, LUCK[-1]))
        step = {"delay_s": 1e-9, "loss_probability": 1e-17}.get(name, 1.0)
        end = st.one_of(
            st.sampled_from([-math.inf, math.inf, *exact.tolist()]),
            st.sampled_from([float(exact[0]) + step, float(exact[1]) - step]),
            st.floats(low - 2.0 * step, high + 2.0 * step),
            st.floats(low, high).map(lambda x: float(f"{x:.3g}")),
        )
        pair = sorted((draw(end), draw(end)))
        if draw(st.booleans()) and pair[0] < pair[1]:
            ranges[name] = (pair[0], pair[1])
    return Context(ranges)


def narrowed(box: Context, whole: World) -> World | None:
    """Return the box's part of a world; None: nothing is left of it."""
    try:
        return box.world(whole)
    except ValueError:
        return None


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_all_that_is_drawn_is_held(data: st.DataObject) -> None:
    whole = data.draw(worlds())
    box = data.draw(boxes(whole))
    luck = LUCK + data.draw(st.lists(st.floats(0.0, 1.0, exclude_max=True), max_size=20))
    links = drawn(whole.config, luck)
    part = narrowed(box, whole)
    if part is None:
        empty = [name for name in box.ranges if narrowed(one_of(box, name), whole) is None]
        assert empty
        assume(on_no_edge(whole))
        assert not any(one_of(box, name).holds(links).any() for name in empty)
        return
    part.config.check(tuple(part.model.FEATURES))
    assert box.holds(drawn(part.config, luck)).all()
    assert box.world(part) == part
    left = drawn(part.config, LUCK)
    for name in CONDITIONS:
        kept = links[name][one_of(box, name).holds(links)]
        room = 1e-9 if name == "delay_s" else 1e-11
        assert (kept >= left[name].min() - room).all()
        assert (kept <= left[name].max() + room).all()


def one_of(box: Context, name: str) -> Context:
    """Return the box with one of its ranges alone."""
    return Context({name: box.limits(name)})


def on_no_edge(world: World) -> bool:
    """Return whether no end of a range lies where rounding itself decides what is drawn."""
    ends = [end * 1e9 for end in world.config.delay_s] + list(world.config.bandwidth_bps)
    return all(abs(end % 1.0 - 0.5) > 1e-3 for end in ends)


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"bandwidth_bps": (-math.inf, 3e6)},
        {"delay_s": (0.0231, 0.0232), "loss_probability": (0.03, math.inf)},
        {"queue_packets": (3.0, 5.0)},
        {"queue_packets": (-math.inf, 3.0), "bandwidth_bps": (1.23e7, 1.24e7)},
        {"queue_packets": (1000.0, math.inf), "loss_probability": (0.0, 1e-9)},
        {"bandwidth_bps": (5e6, 5e6 + 1.0)},
    ],
)
def test_the_kernel_draws_links_of_the_box_alone(ranges: dict[str, Any]) -> None:
    whole = World(CORRECTED, corrected_links(warmup_intervals=0))
    box = Context(ranges)
    batch = box.world(whole).batch(500)
    for seed in range(4):
        batch.seed(seed)
        batch.begin()
        assert box.holds(batch.links()).all()


def test_a_box_that_cuts_nothing_leaves_the_world_as_it_is() -> None:
    whole = World(CORRECTED, corrected_links())
    assert Context({}).world(whole) == whole
    wide = {"bandwidth_bps": (1e3, 1e9), "delay_s": (-math.inf, 1.0)}
    wide |= {"queue_packets": (1.0, 1e6), "loss_probability": (0.0, 0.5)}
    assert Context(wide).world(whole) == whole


def test_queues_are_cut_between_packets() -> None:
    whole = World(CORRECTED, EnvConfig())
    smallest = Context({"queue_packets": (-math.inf, 3.0)}).world(whole).config
    assert set(drawn(smallest, LUCK)["queue_packets"]) == {2.0}
    some = Context({"queue_packets": (2.5, 10.2)}).world(whole).config
    assert drawn(some, [0.0, LUCK[-1]])["queue_packets"].tolist() == [3.0, 10.0]


@pytest.mark.parametrize(
    ("ranges", "field"),
    [
        ({"bandwidth_bps": (1e9, math.inf)}, "bandwidth_bps"),
        ({"delay_s": (-math.inf, 0.002)}, "delay_s"),
        ({"queue_packets": (-math.inf, 2.0)}, "queue_log"),
        ({"queue_packets": (3.2, 3.8)}, "queue_log"),
        ({"loss_probability": (0.2, 0.3)}, "loss"),
        ({"loss_probability": (-1.0, 0.0)}, "loss"),
    ],
)
def test_a_box_without_links_is_named(ranges: dict[str, Any], field: str) -> None:
    whole = World(CORRECTED, corrected_links())
    with pytest.raises(ValueError, match=rf"no link of {field} \(.*\) has "):
        Context(ranges).world(whole)


def test_links_of_another_environment_are_refused() -> None:
    with pytest.raises(ValueError, match=r"contexts are of links of triptych/Pcc-v1, got "):
        Context({}).world(legacy().world)


def test_nothing_but_the_links_changes() -> None:
    whole = World(CORRECTED, corrected_links(steps=77, delta=0.1))
    part = Context({"loss_probability": (0.02, 0.04)}).world(whole)
    assert replace(part.config, loss=whole.config.loss) == whole.config
