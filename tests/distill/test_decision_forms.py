"""A policy decides alike in every form that is timed, in turn on every state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policies.congestion.pruning import prune
from policies.congestion.rule_inputs import EMPTY, HIGH, INPUTS, LOW, WIDTH
from policies.distill import decision_loops
from policies.distill.decision_forms import (
    States,
    dense_native,
    disagreement,
    network_forms,
    rule_forms,
    states_of,
)
from policies.distill.entrants import RULES
from policies.distill.teacher_config import corrected_links
from policies.distill.weights import Network
from policies.distill.worlds import CORRECTED, World, seeds_of
from policies.rules.evaluate import evaluate_many
from policies.rules.parse import parse_rule, read_rule
from tests.distill.small import network_of

WORLD = World(CORRECTED, corrected_links(steps=20))
GENTLE = read_rule(RULES / "gentle.rule")


@pytest.fixture(scope="module")
def network() -> Network:
    return network_of(WORLD, (6, 4))


@pytest.fixture(scope="module")
def states(network: Network) -> States:
    return states_of(network, WORLD, seeds_of("train", 0, 5), 37, 0)


def test_states_are_those_of_the_links(states: States) -> None:
    assert states.observations.shape == (37, WORLD.inputs)
    assert states.tables.shape == (37, WIDTH)
    assert (states.tables >= np.array(LOW)).all()
    assert (states.tables <= np.array(HIGH)).all()
    assert len(np.unique(states.tables, axis=0)) > 30
    assert np.isfinite(states.observations).all()


def test_states_repeat_and_seeds_differ(network: Network, states: States) -> None:
    seeds = seeds_of("train", 0, 5)
    again, other = (states_of(network, WORLD, seeds, 37, seed) for seed in (0, 1))
    assert (again.tables == states.tables).all()
    assert (other.tables != states.tables).any()


def test_more_states_than_there_are_is_one_message(network: Network) -> None:
    with pytest.raises(ValueError, match="101 wanted, 100 met"):
        states_of(network, WORLD, seeds_of("train", 0, 5), 101, 0)


@pytest.mark.parametrize("decisions", [1, 36, 37, 38, 100])
def test_a_rules_forms_add_up_the_same_actions(
    states: States, decisions: int, tmp_path: Path
) -> None:
    """To the bit where sums are in one order, which all three compiled forms keep."""
    forms = rule_forms(GENTLE, states, tmp_path)
    assert list(forms) == ["c", "c_native", "compiled", "numpy"]
    columns = {name: states.tables[:, list(INPUTS).index(name)] for name in INPUTS}
    actions = evaluate_many(GENTLE, columns)
    total = 0.0
    for place in range(decisions):
        total += actions[place % len(actions)]
    assert [form(decisions) for form in forms.values()] == [total] * 4


def test_a_networks_forms_add_up_the_same_actions(
    network: Network, states: States, tmp_path: Path
) -> None:
    forms = network_forms(network, states, tmp_path / "own")
    forms["native"] = dense_native(network, states, tmp_path / "other")
    wanted = np.clip(network(states.observations), -1.0, 1.0).sum()
    for name, form in forms.items():
        assert form(37) == pytest.approx(wanted, abs=1e-4 if name == "c_float" else 1e-10), name
    assert disagreement(forms, 37) < 1e-6


def test_a_pruned_networks_forms_leave_weights_out(
    network: Network, states: States, tmp_path: Path
) -> None:
    pruned = replace(network, tensors=prune(network.tensors, 0.8))
    forms = network_forms(pruned, states, tmp_path)
    assert "_place0" in (tmp_path / "c" / "decide.c").read_text()
    wanted = np.clip(pruned(states.observations), -1.0, 1.0).sum()
    assert forms["compiled"](37) == pytest.approx(wanted, abs=1e-10)
    assert forms["c"](37) == pytest.approx(wanted, abs=1e-10)


def test_forms_that_differ_are_told_apart(states: States, tmp_path: Path) -> None:
    forms = rule_forms(GENTLE, states, tmp_path)
    assert disagreement(forms, 37) == 0.0
    assert disagreement({**forms, "other": lambda wanted: 1e9}, 37) > 1.0


def test_a_rule_that_asks_for_more_than_there_is_is_one_message(
    states: States, tmp_path: Path
) -> None:
    rule = parse_rule("triptych-rule 1\nname f\naction [-1, 1]\ninput speed [0, 1]\nspeed")
    with pytest.raises(ValueError, match="rule f: the table has no input 'speed'"):
        rule_forms(rule, states, tmp_path)


def test_the_next_state_waits_for_the_action() -> None:
    """An action above 2 would lead elsewhere, so none can begin before the last is there."""
    following = decision_loops.following
    assert [following(0, 0.5, 3), following(1, 0.5, 3), following(2, 0.5, 3)] == [1, 2, 0]
    assert [following(0, 2.5, 3), following(1, 2.5, 3)] == [2, 0]


def test_empty_tables_are_a_state_as_well(tmp_path: Path) -> None:
    tables = np.tile(np.array(EMPTY, np.float64), (2, 1))
    forms = rule_forms(GENTLE, States(np.zeros((2, 30)), tables), tmp_path)
    assert disagreement(forms, 5) == 0.0
