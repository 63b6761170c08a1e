"""Deciders: the rule's branch is the label, and accuracy comes from links never fitted on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.congestion.rule_inputs import EMPTY, HIGH, INPUTS, LOW, WIDTH
from policies.distill.decider import (
    Decider,
    accuracy,
    fit_and_judge,
    fit_decider,
    held_out,
    read_decider,
    write_decider,
)
from policies.distill.rollouts import Rollouts
from policies.distill.trees import PLACES, Fork, Tree, rounded
from policies.registry import UnknownNameError
from policies.rules.count import operations
from policies.rules.evaluate import evaluate_many
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Expression, Input, Number, Variable
from policies.rules.write import text_of
from sim.net.problems import ScenarioError

ASKED = ("loss_slow", "latency_ratio", "min_rtt_ms", "send_ratio_change")
CONTEXTS = 5
FORK = Fork("loss_slow", 0.04, Fork("min_rtt_ms", 20.0, 0, 2), 1)
DECIDER = Decider(FORK)


def rule_of(body: Expression) -> Rule:
    inputs = tuple(Input(name, low, high) for name, (low, high, _) in INPUTS.items())
    return Rule("decided", -100.0, 100.0, inputs, body)


def run(rule: Rule, table: np.ndarray) -> np.ndarray:
    return evaluate_many(rule, {name: table[:, place] for name, place in PLACES.items()})


def thresholds(name: str) -> st.SearchStrategy[float]:
    low, high, empty = INPUTS[name]
    inside = st.floats(low, high).map(rounded)
    return st.one_of(inside, st.sampled_from([low, high, empty, low - 1.0, high + 1.0]))


@st.composite
def forks(draw: st.DrawFn, below: st.SearchStrategy[Tree]) -> Fork:
    name = draw(st.sampled_from(ASKED))
    return Fork(name, draw(thresholds(name)), draw(below), draw(below))


LEAVES = st.integers(0, CONTEXTS - 1)
DECIDERS = st.recursive(LEAVES, forks, max_leaves=12).map(Decider)


def asked_of(tree: Tree) -> list[tuple[str, float]]:
    if not isinstance(tree, Fork):
        return []
    return [(tree.name, tree.threshold), *asked_of(tree.below), *asked_of(tree.above)]


@st.composite
def tables(draw: st.DrawFn, decider: Decider) -> np.ndarray:
    """Return a table with values at thresholds, next to them, beyond all bounds, and NaN."""
    luck = np.random.default_rng(draw(st.integers(0, 10**6)))
    table = luck.uniform(LOW, HIGH, (40, WIDTH))
    odd = [np.nan, np.inf, -np.inf, 1e300, -1e300]
    for name, threshold in asked_of(decider.tree):
        edges = [np.nextafter(threshold, end) for end in (-np.inf, np.inf)]
        near = [threshold, *edges, *INPUTS[name], *odd, luck.uniform(*INPUTS[name][:2])]
        table[:, PLACES[name]] = luck.choice(near, len(table))
    return table


@given(data=st.data(), decider=DECIDERS)
@settings(max_examples=200, deadline=None)
def test_the_rules_branch_is_the_label(data: st.DataObject, decider: Decider) -> None:
    table = data.draw(tables(decider))
    labels = decider.labels(table)
    branches = [Number(float(number)) for number in range(CONTEXTS)]
    assert run(rule_of(decider.expression(branches)), table).tolist() == labels.tolist()
    assert set(labels.tolist()) <= set(range(decider.branches))
    bodies = [
        Binary("+", Variable("sent_packets"), Number(float(number))) for number in range(CONTEXTS)
    ]
    whole = rule_of(decider.expression(bodies))
    alone = [run(rule_of(body), table) for body in bodies]
    chosen = np.choose(labels, alone)
    assert run(whole, table).tolist() == chosen.tolist()
    assert operations(whole).decider == decider.comparisons
    assert parse_rule(text_of(whole)) == whole


def test_a_label_by_hand() -> None:
    table = np.tile(EMPTY, (5, 1))
    table[:, PLACES["loss_slow"]] = [0.0, 0.04, 0.0400001, np.nan, 2.0]
    table[:, PLACES["min_rtt_ms"]] = [20.0, 20.1, 1.0, 1e9, 5.0]
    assert DECIDER.labels(table).tolist() == [0, 2, 1, 2, 1]
    assert DECIDER.comparisons == 2
    assert DECIDER.branches == 3


def test_one_leaf_asks_nothing() -> None:
    decider = Decider(2)
    branch = Variable("loss")
    assert decider.expression([Number(0.0), Number(1.0), branch]) is branch
    assert decider.comparisons == 0
    assert decider.labels(np.zeros((3, WIDTH))).tolist() == [2, 2, 2]
    assert decider.labels(np.zeros((0, WIDTH))).tolist() == []


def test_each_context_needs_a_branch() -> None:
    with pytest.raises(ValueError, match="tells 3 contexts apart, got 2 branches"):
        DECIDER.expression([Number(0.0), Number(1.0)])


def rollouts_of(links: int, rows: int, seed: int, **columns: np.ndarray) -> Rollouts:
    """Return random rows, `rows` per link; `columns` has values of inputs, one per link."""
    luck = np.random.default_rng(seed)
    of_row = np.repeat(np.arange(links), rows)
    table = luck.uniform(LOW, HIGH, (len(of_row), WIDTH))
    for name, values in columns.items():
        table[:, PLACES[name]] = values[of_row]
    conditions = {"loss_probability": luck.uniform(0.0, 0.1, links)}
    return Rollouts(
        table.astype(np.float32),
        luck.uniform(-1.0, 1.0, len(of_row)).astype(np.float32),
        of_row.astype(np.int32),
        np.tile(np.arange(rows), links).astype(np.int32),
        conditions,
        luck.uniform(size=links),
    )


def labels_of(links: int, seed: int, contexts: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(contexts, size=links)


@given(leaves=st.integers(2, 12), seed=st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_it_is_scikit_learns_tree_but_for_rounding(leaves: int, seed: int) -> None:
    from sklearn.tree import DecisionTreeClassifier

    labels = labels_of(40, seed)
    rollouts = rollouts_of(40, 10, seed, loss_slow=0.02 + 0.03 * labels)
    decider = fit_decider(rollouts, labels, ASKED, leaves, seed, deepest=6)
    columns = [PLACES[name] for name in ASKED]
    model: Any = DecisionTreeClassifier(max_leaf_nodes=leaves, max_depth=6, random_state=seed)
    model.fit(rollouts.inputs[:, columns], labels[rollouts.links])
    model.tree_.threshold[:] = [rounded(float(t)) for t in model.tree_.threshold]
    for table in (rollouts.inputs, rollouts_of(50, 10, seed + 1).inputs):
        assert decider.labels(table).tolist() == model.predict(table[:, columns]).tolist()
    assert decider.comparisons <= 6


# paper: symbolicpcc decider
def test_contexts_that_an_input_tells_apart_are_told_apart() -> None:
    labels = labels_of(60, 1)
    rollouts = rollouts_of(60, 5, 1, loss_slow=0.02 + 0.03 * labels)
    decider, found = fit_and_judge(rollouts, labels, ("loss_slow", "loss"), 3, seed=0)
    assert decider.comparisons == 2
    assert found.over_rows == 1.0
    assert (found.matrix == np.eye(3)).all()


def test_accuracy_by_hand() -> None:
    labels = np.array([0, 1, 1, 3])
    rollouts = rollouts_of(
        4, 2, 0, loss_slow=np.array([0.0, 0.0, 1.0, 0.0]), min_rtt_ms=np.array([1, 1, 1, 50.0])
    )
    found = accuracy(DECIDER, rollouts, labels)
    assert found.over_rows == 0.5
    assert found.matrix.tolist() == [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_links_that_can_be_remembered_do_not_help() -> None:
    """An input that is a link's own number: a split by rows would call the decider perfect."""
    labels = labels_of(200, 5, contexts=2)
    number = np.random.default_rng(6).permutation(200) / 10.0
    rollouts = rollouts_of(200, 20, 5, sent_packets=number)
    decider, found = fit_and_judge(rollouts, labels, ("sent_packets",), 300, seed=3)
    kept = held_out(200, 3)
    remembered = accuracy(decider, rollouts.of_links(~kept), labels[~kept])
    assert remembered.over_rows > 0.6
    assert found.over_rows < 0.6 < 0.99 < accuracy_by_rows(rollouts, labels)


def accuracy_by_rows(rollouts: Rollouts, labels: np.ndarray) -> float:
    """Return the accuracy on rows of a decider that was fitted on other rows of the same links."""
    from sklearn.tree import DecisionTreeClassifier

    column, own = rollouts.inputs[:, [PLACES["sent_packets"]]], labels[rollouts.links]
    odd = rollouts.steps % 2 == 1
    model = DecisionTreeClassifier(random_state=0).fit(column[odd], own[odd])
    return float((model.predict(column[~odd]) == own[~odd]).mean())


@given(seed=st.integers(0, 50), share=st.sampled_from([0.1, 0.25, 0.6]))
@settings(max_examples=20, deadline=None)
def test_held_out_links_do_not_touch_the_fit(seed: int, share: float) -> None:
    labels = labels_of(30, seed)
    rollouts = rollouts_of(30, 4, seed, loss_slow=0.02 + 0.01 * labels)
    kept = held_out(30, seed, share)
    assert kept.sum() == round(30 * share)
    decider, found = fit_and_judge(rollouts, labels, ASKED, 6, seed, share)
    others = rollouts.inputs.copy()
    others[kept[rollouts.links]] = 0.0
    changed = Rollouts(
        others, rollouts.labels, rollouts.links, rollouts.steps, rollouts.conditions, rollouts.share
    )
    wrong = np.where(kept, 2 - labels, labels)
    again, other = fit_and_judge(changed, wrong, ASKED, 6, seed, share)
    assert again == decider
    rows = kept[rollouts.links]
    told = decider.labels(rollouts.inputs[rows])
    assert found.over_rows == np.mean(told == labels[rollouts.links][rows])
    blank = decider.labels(np.zeros((1, WIDTH)))[0]
    assert other.over_rows == np.mean(wrong[rollouts.links][rows] == blank)


def test_links_are_held_out_by_the_seed() -> None:
    assert (held_out(50, 1) == held_out(50, 1)).all()
    assert (held_out(50, 1) != held_out(50, 2)).any()
    assert held_out(2, 0).sum() == held_out(3, 0, 0.99).sum() - 1 == 1
    for bad in ({"links": 1}, {"share": 0.0}, {"share": 1.0}):
        with pytest.raises(ScenarioError, match=f"held_out: {next(iter(bad))} must be"):
            held_out(**{"links": 9, "seed": 0, **bad})


def test_the_most_frequent_context_is_all_that_one_leaf_tells() -> None:
    rollouts = rollouts_of(5, 3, 0)
    decider = fit_decider(rollouts, np.array([4, 1, 1, 0, 1]), ASKED, 1, seed=0)
    assert decider == Decider(1)
    same = fit_decider(rollouts, np.full(5, 3), ASKED, 8, seed=0)
    assert same == Decider(3)


def test_a_balance_names_the_rare_context() -> None:
    """Of 40 links 4 are rare, and the input is above 0.5 on half of the others, too."""
    labels = (np.arange(40) < 4).astype(int)
    rollouts = rollouts_of(40, 5, 0, loss_slow=np.where(np.arange(40) < 22, 0.9, 0.1))
    names = ("loss_slow",)
    plain, half, full = (
        fit_decider(rollouts, labels, names, 2, seed=0, balance=balance) for balance in (0, 0.5, 1)
    )
    assert plain == Decider(0)
    assert accuracy(plain, rollouts, labels).matrix.tolist() == [[1, 0], [1, 0]]
    assert accuracy(full, rollouts, labels).matrix.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    # With weights n ** -1/2 the 4 rare links weigh 20 ** .5 and the 18 beside them 18 / 6 ** .5.
    assert half == Decider(0)


def test_neighbours_that_say_the_same_are_not_asked_apart() -> None:
    """With more leaves than there are contexts to tell, and labels that no question explains."""
    labels = labels_of(60, 2)
    rollouts = rollouts_of(60, 5, 2, loss_slow=0.02 + 0.03 * labels)
    noisy = np.where(np.arange(60) % 7 == 0, 0, labels)
    decider = fit_decider(rollouts, noisy, ASKED, 40, seed=0, deepest=3)
    waiting, sides = [decider.tree], []
    while waiting:
        if isinstance(node := waiting.pop(), Fork):
            sides.append((node.below, node.above))
            waiting += [node.below, node.above]
    assert 2 <= len(sides) < 7
    assert all(below != above for below, above in sides)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3, int), "one whole number for each of 5 links"),
        (np.zeros(5), "one whole number"),
        (np.full(5, -1), "labels: must be from 0 to 63"),
        (np.full(5, 64), "labels: must be from 0 to 63"),
    ],
)
def test_bad_labels_are_refused(labels: np.ndarray, message: str) -> None:
    rollouts = rollouts_of(5, 3, 0)
    with pytest.raises(ValueError, match=message):
        fit_decider(rollouts, labels, ASKED, 4, seed=0)
    with pytest.raises(ValueError, match=message):
        accuracy(DECIDER, rollouts, labels)
    with pytest.raises(ValueError, match=message):
        fit_and_judge(rollouts, labels, ASKED, 4, seed=0)


def test_bad_requests_are_named() -> None:
    rollouts, labels = rollouts_of(5, 3, 0), np.zeros(5, int)
    with pytest.raises(UnknownNameError, match="did you mean 'loss_slow'"):
        fit_decider(rollouts, labels, ("loss_slo",), 4, seed=0)
    with pytest.raises(ScenarioError, match="tree: leaves must be"):
        fit_decider(rollouts, labels, ASKED, 0, seed=0)
    with pytest.raises(ValueError, match="rollouts: hold no row"):
        accuracy(DECIDER, rollouts_of(5, 0, 0), labels)


@pytest.mark.parametrize("tree", [-1, 64, 0.5, math.nan, Fork("loss", math.nan, 0, 1)])
def test_unsound_trees_are_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match="decider: "):
        Decider(tree)


def chain(length: int) -> Tree:
    tree: Tree = 0
    for k in range(length):
        tree = Fork("loss", 1.0 / (k + 2), tree, 1)
    return tree


def test_trees_as_deep_as_a_rule_allows() -> None:
    deepest = Decider(chain(30))
    assert deepest.comparisons == 30
    rule_of(deepest.expression([Number(0.0), Number(1.0)]))
    with pytest.raises(ValueError, match="more than 30 questions"):
        Decider(chain(31))


@given(decider=DECIDERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_json_round_trip(decider: Decider, tmp_path: Path) -> None:
    path = tmp_path / "decider.json"
    write_decider(path, decider, {"command": "x", "decider": "not mine to say"})
    assert read_decider(path) == decider


GOOD = {"input": "loss", "threshold": 0.1, "below": 0, "above": 1}


def nested(depth: int) -> str:
    head = '{"input": "loss", "threshold": 0.1, "below": 0, "above": '
    return head * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "number of a context, 0 to 63, or an object"),
        ("true", "number of a context"),
        ("1.0", "number of a context"),
        ("64", "number of a context"),
        ("-1", "number of a context"),
        ("1" * 300, "number of a context"),
        ("[0, 1]", "number of a context"),
        (json.dumps({**GOOD, "more": 1}), "number of a context"),
        (json.dumps({**GOOD, "below": None}), "number of a context"),
        (json.dumps({**GOOD, "input": 3}), "input must be a name"),
        (json.dumps({**GOOD, "input": "losses"}), "unknown input 'losses'; did you mean 'loss'"),
        (json.dumps({**GOOD, "input": "x" * 9999}), "unknown input"),
        (json.dumps({**GOOD, "threshold": "0"}), "threshold must be a number"),
        (json.dumps({**GOOD, "threshold": True}), "threshold must be a number"),
        (json.dumps({**GOOD, "threshold": math.nan}), "threshold must be a number"),
        (json.dumps({**GOOD, "threshold": 10**400}), "threshold must be a number"),
        (nested(31), "more than 30 questions"),
        (nested(300), "more than 30 questions"),
        (nested(50_000), "is not JSON"),
    ],
)
def test_hostile_files_are_one_message(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "decider.json"
    path.write_text(f'{{"decider": {text}}}')
    with pytest.raises(ValueError, match=message) as caught:
        read_decider(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500
