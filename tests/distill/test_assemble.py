"""The assembled rule is the decider's choice among branches, and costs what it may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from policies.congestion.rule_inputs import INPUTS, WIDTH
from policies.distill.actors import RuleActor
from policies.distill.assemble import (
    MOST_PATH,
    MOST_TOTAL,
    assemble,
    check_cost,
    decider_in,
    room,
    rule_of,
    simplified,
)
from policies.distill.constants import constants, with_constants
from policies.distill.decider import Decider
from policies.distill.fronts import as_rule, inputs_of
from policies.distill.trees import Fork, Tree
from policies.rules.count import operations
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Expression, Number, RuleError, Variable
from policies.rules.write import text_of
from tests.distill.small_distil import chain, wide
from tests.rules.random_rules import bits

NAMES = list(INPUTS)


def random_tree(rng: np.random.Generator, leaves: int, branches: int) -> Tree:
    if leaves == 1:
        return int(rng.integers(branches))
    left = int(rng.integers(1, leaves))
    name = NAMES[rng.integers(WIDTH)]
    low, high, _ = INPUTS[name]
    below = random_tree(rng, left, branches)
    above = random_tree(rng, leaves - left, branches)
    return Fork(name, float(rng.uniform(low, high)), below, above)


def random_table(rng: np.random.Generator, rows: int = 200) -> NDArray[np.float64]:
    low, high, _ = np.array(list(INPUTS.values())).T
    return rng.uniform(low - 0.1 * (high - low), high + 0.1 * (high - low), (rows, WIDTH))


def random_branch(rng: np.random.Generator, place: int) -> Rule:
    names = rng.choice(NAMES, 2)
    first = Binary("*", Number(float(rng.normal())), Variable(str(names[0])))
    body = Binary("+", first, Binary("min", Variable(str(names[1])), Number(float(rng.normal()))))
    return as_rule(f"branch_{place}", body)


def actions(rule: Rule, table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(RuleActor(rule).policy(table))


# paper: symbolicpcc decider
@given(seed=st.integers(0, 10_000), leaves=st.integers(1, 8), branches=st.integers(2, 5))
def test_it_is_the_branch_that_the_decider_names(seed: int, leaves: int, branches: int) -> None:
    rng = np.random.default_rng(seed)
    decider = Decider(random_tree(rng, leaves, branches))
    rules = [random_branch(rng, place) for place in range(branches)]
    rule, table = assemble("whole", decider, rules), random_table(rng)
    expected = np.stack([actions(one, table) for one in rules])
    labels = decider.labels(table)
    assert (actions(rule, table) == expected[labels, np.arange(len(table))]).all()
    assert (rule.low, rule.high) == (-1.0, 1.0)
    assert parse_rule(text_of(rule)) == rule
    small = simplified(rule, decider)
    assert (bits(actions(small, table)) == bits(actions(rule, table))).all()
    assert operations(small).total <= operations(rule).total
    assert decider_in(small, decider) == decider
    assert (actions(rule_of(decider), table) == labels).all()


@given(seed=st.integers(0, 10_000), leaves=st.integers(1, 8))
def test_refined_thresholds_come_back(seed: int, leaves: int) -> None:
    rng = np.random.default_rng(seed)
    decider = Decider(random_tree(rng, leaves, 3))
    rules = [random_branch(rng, place) for place in range(3)]
    rule = assemble("whole", decider, rules)
    moved = [value * 1.01 for value in constants(rule.body)]
    body = with_constants(rule.body, moved)
    changed = Rule("whole", -1.0, 1.0, inputs_of(body), body)
    found, table = decider_in(changed, decider), random_table(rng)
    labels = found.labels(table)
    whole = decider.expression([Number(float(n)) for n in range(3)])
    assert constants(found.expression([Number(float(n)) for n in range(3)])) == [
        value if value.is_integer() and value in range(3) else value * 1.01
        for value in constants(whole)
    ]
    assert (actions(rule_of(found), table) == labels).all()


def test_another_decider_is_refused() -> None:
    decider = Decider(Fork("loss", 0.1, 0, 1))
    rule = assemble("whole", decider, [as_rule("a", chain(1)), as_rule("b", chain(2))])
    for other in (Fork("loss_fast", 0.1, 0, 1), Fork("loss", 0.1, Fork("loss", 0.05, 0, 1), 1)):
        with pytest.raises(ValueError, match="does not ask loss"):
            decider_in(rule, Decider(other))
    with pytest.raises(ValueError, match="does not ask loss"):
        simplified(as_rule("a", chain(1)), decider)


def test_without_a_decider_it_is_the_branch() -> None:
    branch = as_rule("mine", chain(3))
    rule = assemble("other", None, [branch])
    assert (rule.name, rule.body, rule.inputs) == ("other", branch.body, branch.inputs)
    for rules in ([], [branch, branch]):
        with pytest.raises(ValueError, match=f"{len(rules)} branches need a decider"):
            assemble("other", None, rules)


def rule_with(body: Expression) -> Rule:
    return Rule("wide", -1.0, 1.0, inputs_of(body), body)


def test_more_than_60_operations_on_a_path_are_refused() -> None:
    assert operations(assemble("x", None, [rule_with(wide(61))])).worst_path == 60
    with pytest.raises(ValueError, match=r"up to 61 operations, 0 of them .* at most 60") as caught:
        assemble("x", None, [rule_with(wide(62))])
    assert "\n" not in str(caught.value)
    decider = Decider(Fork("loss", 0.1, 0, 1))
    with pytest.raises(ValueError, match="up to 61 operations, 1 of them in the decider"):
        assemble("x", decider, [rule_with(wide(61)), rule_with(wide(2))])


def test_more_than_150_operations_in_all_are_refused() -> None:
    decider = Decider(Fork("loss", 0.1, Fork("loss", 0.05, 0, 1), 2))
    rules = [rule_with(wide(50)), rule_with(wide(50)), rule_with(wide(51))]
    assert operations(assemble("x", decider, rules)).total == 150
    rules[0] = rule_with(wide(51))
    with pytest.raises(ValueError, match="151 operations in all; at most 150"):
        assemble("x", decider, rules)


def test_limits_can_be_moved() -> None:
    check_cost(rule_with(wide(80)), 79, 79)
    with pytest.raises(ValueError, match="at most 78"):
        check_cost(rule_with(wide(80)), 78, 79)
    with pytest.raises(ValueError, match="79 operations in all; at most 78"):
        check_cost(rule_with(wide(80)), 79, 78)


@given(seed=st.integers(0, 10_000), leaves=st.integers(2, 12))
def test_branches_within_the_room_are_allowed(seed: int, leaves: int) -> None:
    rng = np.random.default_rng(seed)
    decider = Decider(random_tree(rng, leaves, 4))
    path, total = room(decider)
    rules = [rule_with(wide(min(path, total) + 1))] * 4
    cost = operations(assemble("x", decider, rules))
    assert cost.worst_path <= MOST_PATH
    assert cost.total <= MOST_TOTAL
    assert room(None) == (MOST_PATH, MOST_TOTAL)


def test_a_decider_that_leaves_nothing_is_refused() -> None:
    decider = Decider(random_tree(np.random.default_rng(0), 8, 2))
    with pytest.raises(ValueError, match=r"7 comparisons leaves branches no operations"):
        room(decider, 60, 12)


def test_too_deep_a_whole_is_refused() -> None:
    deep: Tree = 0
    for place in range(10):
        deep = Fork("loss", 0.5 / (place + 1), deep, 1)
    with pytest.raises(RuleError, match="nests deeper"):
        assemble("x", Decider(deep), [rule_with(chain(25)), rule_with(chain(2))])
