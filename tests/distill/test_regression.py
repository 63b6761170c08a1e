"""What regressions share: checks of rows, splits by link, standardised inputs, finished rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion.rule_inputs import INPUTS
from policies.distill.constants import with_digits
from policies.distill.fronts import as_rule
from policies.distill.regression import (
    finished,
    front_of,
    pruned,
    samples,
    standard,
)
from policies.distill.sums import Sum, chosen, unary, variable
from policies.rules.count import worst_path
from policies.rules.syntax import Number, RuleError, Variable, walk
from policies.rules.write import expression_text
from tests.distill.made_rows import NAMES, by_name, clipped_law, rows, value

TABLE, LINKS = rows(300)
ACTIONS = clipped_law(TABLE)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.01, 0.99), st.integers(0, 2**32), st.integers(2, 40))
def test_links_are_split_never_rows(share: float, seed: int, links: int) -> None:
    given = samples(TABLE, NAMES, ACTIONS, LINKS % links)
    fit, out = given.split(share, np.random.default_rng(seed))
    links_of = [set(part.links.tolist()) for part in (fit, out)]
    assert not links_of[0] & links_of[1]
    assert links_of[0] | links_of[1] == set(given.links.tolist())
    count = len(set(given.links.tolist()))
    assert len(links_of[1]) == min(max(1, round(share * count)), count - 1)
    assert len(fit.actions) + len(out.actions) == len(ACTIONS)
    for part in (fit, out):
        assert (clipped_law(part.inputs) == part.actions).all()


def test_without_links_each_row_is_one() -> None:
    given = samples(TABLE, NAMES, ACTIONS)
    assert (given.links == np.arange(300)).all()


@pytest.mark.parametrize("centre", [True, False])
def test_standardised_inputs_and_the_way_back(centre: bool) -> None:
    given = samples(TABLE, NAMES, ACTIONS)
    shape = standard(given, centre)
    table = shape.of(given.inputs)
    assert table.std(axis=0) == pytest.approx(np.ones(4))
    if centre:
        assert table.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    for column, back in zip(table.T, shape.sums(), strict=True):
        assert value(back.expression(), by_name(TABLE)) == pytest.approx(column, abs=1e-12)


def test_constant_columns_are_left_out() -> None:
    table = TABLE.copy()
    table[:, 1] = 0.25
    table[:, 3] += 1e-9
    shape = standard(samples(table, NAMES, ACTIONS))
    assert shape.names == ("latency_inflation", "send_ratio", "throughput_ratio")
    table[:] = table[0]
    with pytest.raises(ValueError, match="every column is constant"):
        standard(samples(table, NAMES, ACTIONS))


def test_the_error_is_the_rules_own() -> None:
    given = samples(TABLE, NAMES, ACTIONS)
    product = variable("loss").times(variable("send_ratio"))
    law = variable("latency_inflation").scaled(1.5).plus(product, -0.8)
    assert given.error(as_rule("law", law.expression())) < 1e-30  # the rule clips, as the law does
    assert given.error(as_rule("zero", Number(0.0))) == pytest.approx(np.mean(ACTIONS**2))


def broken(change: str) -> tuple[Any, Any, Any, Any]:
    table, names, actions, links = TABLE.copy(), list(NAMES), ACTIONS.copy(), LINKS.copy()
    match change:
        case "nan":
            table[7, 1] = np.nan
        case "inf":
            table[7, 1] = np.inf
        case "huge":
            table[7, 1] = 1e300
        case "low":
            table[7, 1] = -1e-3
        case "nan action":
            actions[3] = np.nan
        case "large action":
            actions[3] = 1.5
        case "same actions":
            actions[:] = 0.5
        case "one row":
            table, actions, links = table[:1], actions[:1], links[:1]
        case "no rows":
            table, actions, links = table[:0], actions[:0], links[:0]
        case "one link":
            links[:] = 4
        case "constant columns":
            table[:] = table[0]
        case "flat":
            table = table.ravel()
        case "no columns":
            table, names = table[:, :0], []
        case "more names":
            names = [*names, "min_rtt_ms"]
        case "twice":
            names[3] = "loss"
        case "unknown":
            names[1] = "los"
        case "words":
            table = np.full(TABLE.shape, "much")
        case "ragged":
            table = [[0.0, 1.0], [0.0]]
        case "short actions":
            actions = actions[:-1]
        case "short links":
            links = links[:-1]
        case "fractional links":
            links = links / 2.0
    return table, names, actions, links


BAD_ROWS = {
    "nan": r"inputs: loss of row 7 is nan",
    "inf": r"inputs: loss of row 7 is inf",
    "huge": r"inputs: loss of row 7 is 1e\+300, which is not within \[0, 1\]",
    "low": r"inputs: loss of row 7 is -0.001",
    "nan action": r"actions: the action of row 3 is nan",
    "large action": r"actions: the action of row 3 is 1.5, which is not within \[-1, 1\]",
    "same actions": r"actions: all are 0.5",
    "one row": r"inputs: 1 rows",
    "no rows": r"inputs: 0 rows",
    "flat": r"inputs: shape \(1200,\) does not fit 4 names",
    "no columns": r"inputs: shape \(300, 0\)",
    "more names": r"inputs: shape \(300, 4\) does not fit 5 names",
    "twice": r"names: 'loss' is there twice",
    "unknown": r"names: rules have no input 'los'; did you mean 'loss'",
    "words": r"inputs: is not an array of numbers",
    "ragged": r"inputs: is not an array of numbers",
    "short actions": r"actions: shape \(299,\) does not fit 300 rows",
    "short links": r"links: must be 300 integers",
    "fractional links": r"links: must be 300 integers",
}


@pytest.mark.parametrize("change", BAD_ROWS)
def test_bad_rows_end_in_one_clear_line(change: str) -> None:
    table, names, actions, links = broken(change)
    with pytest.raises(ValueError, match=BAD_ROWS[change]) as raised:
        samples(table, names, actions, links)
    assert "\n" not in str(raised.value)


def test_every_value_that_the_table_can_hold_is_taken() -> None:
    low, high = ([INPUTS[name][end] for name in INPUTS] for end in (0, 1))
    table = np.array([low, high], np.float32)
    samples(table, tuple(INPUTS), np.array([-1.0, 1.0], np.float32), np.array([0, 1], np.int32))


def test_a_front_drops_and_counts_what_no_rule_can_be() -> None:
    given = samples(TABLE, NAMES, np.clip(1.5 * TABLE[:, 0], -1.0, 1.0))
    a, b = variable("latency_inflation"), variable("loss")
    models = [a, b.scaled(float("nan")), a.scaled(1.5), a.over(b), a.scaled(1e200), Sum(0.1)]
    front = front_of(models, lambda model: model, given, given, 4)
    assert front.dropped == 2
    assert [one.operations for one in front] == sorted({one.operations for one in front})
    assert expression_text(front[-1].expression) == "1.5 * latency_inflation"
    with pytest.raises(ValueError, match="none of 1 models can be written"):
        front_of(models[1:2], lambda model: model, given, given, 4)
    with pytest.raises(ValueError, match="none of 0 models"):
        front_of([], lambda model: model, given, given, 4)


def test_what_does_next_to_nothing_is_pruned() -> None:
    given = samples(TABLE, NAMES, ACTIONS)
    a, b, c = (variable(name) for name in NAMES[:3])
    law = a.scaled(0.5).plus(b.times(c), -0.2)
    noise = unary("tanh", c).scaled(1e-9).plus(b.scaled(-1e-8)).plus(Sum(1e-7))
    never = chosen("max", law.plus(noise), Sum(-0.99999))
    rule = finished(chosen("min", never, Sum(7.0)).expression(), 4)
    small = pruned(rule, given)
    assert expression_text(small.body) == "0.5 * latency_inflation - 0.2 * (loss * send_ratio)"
    assert pruned(small, given) == small
    change = given.answers(small) - given.answers(rule)
    assert np.sqrt(np.mean(change**2)) <= 1e-3


@settings(deadline=None, max_examples=40)
@given(st.floats(0.0, 0.5))
def test_pruning_more_costs_less_and_moves_actions_no_further_than_said(idle: float) -> None:
    given = samples(TABLE, NAMES, ACTIONS)
    a, b, c = (variable(name) for name in NAMES[:3])
    tail = unary("tanh", a.plus(c.scaled(0.1))).over(c.plus(Sum(0.5)))
    rule = finished(chosen("max", a.plus(b.times(c), -0.3).plus(tail, 0.05), b).expression(), 4)
    small = pruned(rule, given, idle)
    change = given.answers(small) - given.answers(rule)
    assert np.sqrt(np.mean(change**2)) <= idle
    assert worst_path(small.body) <= worst_path(rule.body)


def test_finished_rules_have_few_digits_and_lose_what_does_nothing() -> None:
    x = variable("loss").scaled(1.0000001).plus(variable("min_rtt_ms").scaled(0.0123456))
    rule = finished(chosen("min", x.plus(Sum(0.3333333)), Sum(7.0)).expression(), 4)
    assert expression_text(rule.body) == "loss + 0.01235 * min_rtt_ms + 0.3333"
    assert [i.name for i in rule.inputs] == ["loss", "min_rtt_ms"]
    assert finished(rule.body, 4) == rule
    with pytest.raises(RuleError, match="may reach"):
        finished(variable("min_rtt_ms").scaled(1e99).expression(), 4)


@settings(deadline=None)
@given(st.floats(-1e30, 1e30), st.integers(1, 17))
def test_rounding_to_digits(number: float, digits: int) -> None:
    tree = unary("tanh", variable("loss").plus(Sum(number or 1.0))).expression()
    found = with_digits(tree, digits)
    assert with_digits(found, digits) == found
    before = [node.value for node in walk(tree) if isinstance(node, Number)]
    after = [node.value for node in walk(found) if isinstance(node, Number)]
    assert after == pytest.approx(before, rel=0.51 * 10.0 ** (1 - digits))
    assert [n for n in walk(found) if isinstance(n, Variable)] == [Variable("loss")]
