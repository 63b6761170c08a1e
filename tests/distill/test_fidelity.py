"""Fidelity: what it says of policies whose answer is known, and whose states they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distill.actors import OnObservations, OnTable
from policies.distill.fidelity import Fidelity, compare
from policies.distill.teacher_config import corrected_links
from policies.distill.worlds import CORRECTED, World, seeds_of
from tests.distill.small import network_of

WORLD = World(CORRECTED, corrected_links(steps=25))
SEEDS = seeds_of("train", 0, 6)
ACTIONS = st.lists(st.floats(-1, 1), min_size=2, max_size=40)


def of(teacher: list[float], student: list[float]) -> Fidelity:
    return Fidelity(np.array(teacher, float), np.array(student, float))


def test_by_hand() -> None:
    found = of([1.0, -1.0, 0.5, 0.0], [0.5, -1.0, -0.5, 0.0])
    assert found.mean_absolute_error == pytest.approx((0.5 + 1.0) / 4)
    assert found.same_sign == 0.75
    spread = sum((a - 0.125) ** 2 for a in (1.0, -1.0, 0.5, 0.0))
    assert found.r2 == pytest.approx(1.0 - 1.25 / spread)


@given(ACTIONS)
def test_a_copy_is_perfect(actions: list[float]) -> None:
    found = of(actions, actions)
    assert (found.mean_absolute_error, found.same_sign) == (0.0, 1.0)
    assert found.r2 == 1.0 or np.isnan(found.r2)


@given(ACTIONS, ACTIONS)
def test_measures_stay_within_their_bounds(one: list[float], other: list[float]) -> None:
    count = min(len(one), len(other))
    found = of(one[:count], other[:count])
    assert 0.0 <= found.mean_absolute_error <= 2.0
    assert 0.0 <= found.same_sign <= 1.0
    assert np.isnan(found.r2) or found.r2 <= 1.0


def test_the_mean_action_accounts_for_nothing() -> None:
    assert of([1.0, 0.0, -0.4], [0.2, 0.2, 0.2]).r2 == pytest.approx(0.0)
    assert np.isnan(of([0.3, 0.3], [0.3, 0.1]).r2)


def test_a_network_repeats_itself_on_anybodys_states() -> None:
    network = network_of(WORLD)
    for student_acts in (False, True):
        pair = OnObservations(network), OnObservations(network)
        found = compare(*pair, WORLD, SEEDS, student_acts)
        assert len(found.teacher) == 25 * 6
        assert (found.teacher == found.student).all()


def test_who_acts_makes_the_states() -> None:
    network = network_of(WORLD)
    theirs, own = (
        compare(OnObservations(network), OnTable(lambda t: np.ones(len(t))), WORLD, SEEDS, acts)
        for acts in (False, True)
    )
    assert (theirs.student == 1.0).all()
    alone = compare(OnObservations(network), OnObservations(network), WORLD, SEEDS, False)
    assert (theirs.teacher == alone.teacher).all()
    assert (own.teacher != alone.teacher).any()


def test_actions_are_compared_as_the_environment_takes_them() -> None:
    loud = OnTable(lambda table: np.full(len(table), 7.0))
    one = OnTable(lambda table: np.ones(len(table)))
    found = compare(loud, one, WORLD, SEEDS, True)
    assert found.mean_absolute_error == 0.0


def test_a_sample_is_of_pairs() -> None:
    luck = np.random.default_rng(0)
    found = of(np.linspace(-1, 1, 50).tolist(), np.linspace(-0.5, 0.5, 50).tolist())
    theirs, own = found.sample(10, luck)
    assert len(theirs) == len(own) == 10
    assert own == pytest.approx(theirs / 2)
    assert len(found.sample(1000, luck)[0]) == 50
    assert len(found.sample(0, luck)[0]) == 0


def test_no_link_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compare(OnTable(lambda t: t[:, 0]), OnTable(lambda t: t[:, 0]), WORLD, [], True)
