"""Tree rules: scikit-learn's trees, rounded, and the same in the language of rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion.rule_inputs import HIGH, INPUTS, LOW, WIDTH
from policies.distill.trees import (
    DEEPEST,
    PLACES,
    Fork,
    depth_of,
    evaluate_tree,
    expression_of,
    fit_tree_rule,
    rounded,
)
from policies.registry import UnknownNameError
from policies.rules.count import worst_path
from policies.rules.evaluate import evaluate_many
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule
from policies.rules.syntax import Expression, If, Input, Number, walk
from policies.rules.write import text_of
from sim.net.problems import ScenarioError

NAMES = ("latency_ratio", "loss_slow", "sent_packets", "min_rtt_ms", "send_ratio_change")


def as_rule(body: Expression, names: tuple[str, ...] = NAMES, most: float = 1.0) -> Rule:
    inputs = tuple(Input(name, *INPUTS[name][:2]) for name in names)
    return Rule("tree", -1.0, most, inputs, body)


def rows_of(count: int, seed: int, names: tuple[str, ...] = NAMES) -> np.ndarray:
    """Return float32 inputs within their bounds, most near the lower ones, as in life."""
    luck = np.random.default_rng(seed)
    low, high = (np.array([INPUTS[name][k] for name in names]) for k in (0, 1))
    shares = luck.uniform(size=(count, len(names))) ** luck.integers(1, 9, len(names))
    return (low + (high - low) * shares).astype(np.float32)


def actions_of(rows: np.ndarray, seed: int) -> np.ndarray:
    luck = np.random.default_rng(seed)
    waves = np.sin(rows.astype(float) @ luck.normal(size=rows.shape[1]))
    return np.clip(waves + 0.1 * luck.normal(size=len(rows)), -1.0, 1.0)


def values_of(body: Expression, rows: np.ndarray) -> np.ndarray:
    columns = {name: rows[:, place] for place, name in enumerate(NAMES)}
    return evaluate_many(as_rule(body), columns)


@given(leaves=st.integers(2, 60), seed=st.integers(0, 999), weighted=st.booleans())
@settings(max_examples=60, deadline=None)
def test_it_is_scikit_learns_tree_but_for_rounding(leaves: int, seed: int, weighted: bool) -> None:
    from sklearn.tree import DecisionTreeRegressor

    rows = rows_of(500, seed)
    actions = actions_of(rows, seed)
    weights = np.random.default_rng(seed).uniform(size=500) if weighted else None
    body = fit_tree_rule(rows, NAMES, actions, leaves, weights, seed=seed)
    model: Any = DecisionTreeRegressor(
        max_leaf_nodes=leaves, max_depth=DEEPEST, random_state=seed
    ).fit(rows, actions, sample_weight=weights)
    thresholds = [rounded(float(t)) for t in model.tree_.threshold]
    model.tree_.threshold[:] = thresholds
    for seen in (rows, near(thresholds, rows_of(500, seed + 1), seed)):
        expected = [rounded(float(value)) for value in model.predict(seen)]
        assert values_of(body, seen).tolist() == expected


def near(thresholds: list[float], rows: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows with a fifth of the values at thresholds, within bounds."""
    luck = np.random.default_rng(seed)
    chosen = luck.uniform(size=rows.shape) < 0.2
    rows[chosen] = luck.choice(np.array(thresholds, np.float32), chosen.sum())
    low, high = (np.array([INPUTS[name][k] for name in NAMES], np.float32) for k in (0, 1))
    return np.clip(rows, low, high)


@given(leaves=st.integers(1, 150), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_it_fits_into_a_rule_and_its_text(leaves: int, seed: int) -> None:
    rows = rows_of(400, seed)
    rule = as_rule(fit_tree_rule(rows, NAMES, actions_of(rows, seed), leaves))
    assert parse_rule(text_of(rule)) == rule
    assert sum(isinstance(node, If) for node in walk(rule.body)) <= leaves - 1
    assert worst_path(rule.body) <= DEEPEST


def test_the_deepest_tree_that_a_rule_has_room_for() -> None:
    """Actions that alternate along one input, so that each question splits off one row."""
    rows = np.zeros((60, len(NAMES)), np.float32)
    rows[:, 2] = 20.0 * 0.7 ** np.arange(60)
    actions = np.where(np.arange(60) % 2, 1.0, -1.0) * 0.99 ** np.arange(60)
    body = fit_tree_rule(rows, NAMES, actions, 61)
    assert worst_path(as_rule(body).body) == body.depth - 2 <= DEEPEST
    shallow = fit_tree_rule(rows, NAMES, actions, 61, deepest=3)
    assert worst_path(shallow) == 3


def test_one_leaf_is_the_mean_and_asks_nothing() -> None:
    rows = rows_of(4, 0)
    actions = np.array([0.0, 0.5, 1.0, -1.0])
    assert fit_tree_rule(rows, NAMES, actions, 1) == Number(0.125)
    weights = np.array([1.0, 1.0, 0.0, 0.0])
    assert fit_tree_rule(rows, NAMES, actions, 1, weights) == Number(0.25)


def test_rows_without_weight_do_not_count() -> None:
    rows = rows_of(300, 3)
    actions, weights = actions_of(rows, 3), (np.arange(300) % 3 > 0).astype(float)
    kept = weights > 0.0
    ours = fit_tree_rule(rows, NAMES, actions, 20, weights)
    assert ours == fit_tree_rule(rows[kept], NAMES, actions[kept], 20)
    assert ours != fit_tree_rule(rows, NAMES, actions, 20)


def test_a_step_is_found_and_reads_well() -> None:
    rows = rows_of(2000, 1)
    actions = np.where(rows[:, 1] <= 0.05, 0.5, -0.25)
    body = fit_tree_rule(rows, NAMES, actions, 8)
    assert isinstance(body, If)
    assert body.condition.left.name == "loss_slow"
    assert body.condition.right.value == pytest.approx(0.05, abs=0.002)
    assert (body.then, body.otherwise) == (Number(0.5), Number(-0.25))


def test_questions_that_rounding_makes_idle_are_not_asked() -> None:
    rows = np.zeros((6, 1), np.float32)
    rows[:, 0] = [0.1, 0.5, 0.5001, 0.5002, 0.5003, 0.9]
    actions = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    body = fit_tree_rule(rows, ["loss"], actions, 6)
    thresholds = [n.condition.right.value for n in walk(body) if isinstance(n, If)]
    assert len(thresholds) == len(set(thresholds)) == 3
    assert {0.5} < set(thresholds)


TREE = Fork("loss", 0.1, Fork("latency_ratio", 1.5, 0, 1), Fork("loss", 0.3, 2, 3))


def test_a_table_is_clamped_as_a_rule_clamps_its_inputs() -> None:
    odd = [np.nan, np.inf, -np.inf, -1e300, 1e300, 0.1, np.nextafter(0.1, 1), 0.3, 1.5, 2.0]
    table = np.zeros((len(odd) ** 2, WIDTH))
    pairs = np.array([(a, b) for a in odd for b in odd])
    table[:, [PLACES["loss"], PLACES["latency_ratio"]]] = pairs
    rule = as_rule(expression_of(TREE, Number), ("loss", "latency_ratio"), most=9.0)
    columns = {"loss": pairs[:, 0], "latency_ratio": pairs[:, 1]}
    assert evaluate_tree(TREE, table).tolist() == evaluate_many(rule, columns).tolist()
    assert set(evaluate_tree(TREE, table)) == {0.0, 1.0, 2.0, 3.0}
    assert depth_of(TREE) == 2
    assert evaluate_tree(0.5, table[:3]).tolist() == [0.5] * 3
    with pytest.raises(ValueError, match=f"shape must be \\(n, {WIDTH}\\)"):
        evaluate_tree(TREE, table[:, :-1])


def test_columns_are_those_of_the_table() -> None:
    assert list(PLACES) == list(INPUTS)
    assert [PLACES[name] for name in INPUTS] == list(range(WIDTH))
    assert len(LOW) == len(HIGH) == WIDTH


def test_rounding_keeps_three_digits() -> None:
    values = (0.123456, 12345.0, -0.00099951, 0.0)
    assert [rounded(x) for x in values] == [0.123, 12300.0, -0.001, 0.0]
    assert str(rounded(-1e-320 * 0.0)) == "0.0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.zeros((3, 4))}, r"inputs: shape must be \(rows, 5\), got \(3, 4\)"),
        ({"inputs": np.zeros(3)}, "inputs: shape"),
        ({"inputs": np.zeros((0, 5)), "actions": np.zeros(0)}, "inputs: shape"),
        ({"inputs": np.full((3, 5), np.nan)}, "inputs: holds a value that is not finite"),
        ({"actions": np.zeros(4)}, r"shape must be"),
        ({"actions": np.full(3, np.inf)}, "actions: holds a value that is not finite"),
        ({"weights": np.zeros(3)}, "nor all zero"),
        ({"weights": np.array([1.0, -1.0, 1.0])}, "must not be negative"),
        ({"names": ("loss",) * 5}, "each once"),
        ({"names": ()}, "inputs: must be named"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    sound = {"inputs": np.zeros((3, 5)), "names": NAMES, "actions": np.zeros(3), "leaves": 2}
    with pytest.raises(ValueError, match=message):
        fit_tree_rule(**{**sound, **changes})


@pytest.mark.parametrize("change", [{"leaves": 0}, {"leaves": 401}, {"deepest": 31}])
def test_trees_too_large_for_a_rule_are_refused(change: dict[str, Any]) -> None:
    sound = {"inputs": np.zeros((3, 5)), "names": NAMES, "actions": np.zeros(3), "leaves": 2}
    with pytest.raises(ScenarioError, match=f"tree: {next(iter(change))} must be"):
        fit_tree_rule(**{**sound, **change})


def test_unknown_inputs_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'loss_slow'"):
        fit_tree_rule(np.zeros((3, 1)), ["loss_slo"], np.zeros(3), 2)
