"""Episodes out of step, and moments that replay rebuilds exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policies.distill.episodes import Episodes
from policies.distill.worlds import World, seeds_of
from tests.distill.small import VARIANTS, small

LINKS = 9


def world_of(variant: str, **changes) -> World:
    world = small(variant).world
    return World(world.environment, replace(world.config, steps=25, **changes))


def begun(world: World, links: int = LINKS) -> Episodes:
    return Episodes(world.batch(links), seeds_of("train", 3, links))


def actions_of(step: int, links: int = LINKS) -> np.ndarray:
    return np.random.default_rng(step).normal(size=links).astype(np.float32)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_moment_is_rebuilt_to_the_bit(variant: str) -> None:
    world = world_of(variant)
    one = begun(world)
    for step in range(70):
        one.step(actions_of(step))
        if step not in (0, 1, 24, 25, 47, 69):
            continue
        other = begun(world)
        other.go_to(one.moment())
        twin = begun(world)
        for earlier in range(step + 1):
            twin.step(actions_of(earlier))
        for later in range(step + 1, step + 31):
            over = twin.step(actions_of(later))
            assert (over == other.step(actions_of(later))).all()
            for name in ("observations", "rewards", "final"):
                ours, theirs = (getattr(e.batch, name) for e in (other, twin))
                shown = over if name == "final" else np.ones(LINKS, bool)
                assert (ours[shown] == theirs[shown]).all()
        moments = other.moment(), twin.moment()
        for name in ("episodes", "steps", "ages", "actions", "observations"):
            ours, theirs = (getattr(moment, name) for moment in moments)
            assert np.array_equal(ours, theirs)
        for name, values in other.links.items():
            assert (values == twin.links[name]).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_attribution_by_packets_sent_is_rebuilt_too(variant: str) -> None:
    world = world_of(variant, attribution="sent")
    one, other = begun(world), begun(world)
    for step in range(30):
        one.step(actions_of(step))
    other.go_to(one.moment())
    for step in range(30, 60):
        one.step(actions_of(step))
        other.step(actions_of(step))
        assert (one.batch.observations == other.batch.observations).all()


def test_episodes_end_at_different_times_and_evenly() -> None:
    episodes = begun(world_of("legacy"), 50)
    ended = [episodes.step(actions_of(step, 50)).sum() for step in range(100)]
    assert ended == [2] * 100


def test_links_are_those_of_the_present_episodes() -> None:
    episodes = begun(world_of("corrected"))
    for step in range(40):
        episodes.step(actions_of(step))
        for name, values in episodes.batch.links().items():
            assert (episodes.links[name] == values).all()


def test_a_moment_of_other_links_is_refused() -> None:
    world = world_of("legacy")
    one = begun(world)
    for step in range(5):
        one.step(actions_of(step))
    other = Episodes(world.batch(LINKS), seeds_of("train", 4, LINKS))
    with pytest.raises(ValueError, match="does not come back"):
        other.go_to(one.moment())
