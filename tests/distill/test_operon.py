"""PyOperon: laws are found and found again, and its trees mean the same as rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.distill.fronts import Front, as_rule, pareto, read_front, write_front
from policies.distill.operon import (
    OperonSettings,
    Step,
    fitted,
    operon_front,
    steps_of,
    sum_of,
)
from policies.distill.regression import samples, standard
from policies.distill.sums import variable
from policies.rules.count import worst_path
from policies.rules.syntax import RuleError, walk
from policies.rules.write import expression_text
from tests.distill.made_rows import NAMES, by_name, clipped_law, rows, value
from tests.distill.test_regression import BAD_ROWS, broken

TABLE, LINKS = rows(600)
COLUMNS = by_name(TABLE)
ACTIONS = clipped_law(TABLE)
SMALL = OperonSettings(population=500, evaluations=100_000, most_length=20)
QUICK = replace(SMALL, evaluations=15_000)
SEED = 3
INPUTS = [variable(name) for name in NAMES]


@pytest.fixture(scope="module")
def front() -> Front:
    return operon_front(TABLE, NAMES, ACTIONS, SMALL, SEED, LINKS)


def test_a_law_is_recovered(front: Front) -> None:
    variance = float(np.var(ACTIONS))
    assert front[-1].error < 5e-3 * variance  # with luck 1e-33, in 4 operations
    good = next(one for one in front if one.error < 0.02 * variance)
    assert good.operations <= 10


def test_a_simple_law_is_recovered_to_its_constants() -> None:
    actions = np.tanh(1.25 * TABLE[:, 0] - 0.75 * TABLE[:, 1])
    found = operon_front(TABLE, NAMES, actions, replace(SMALL, evaluations=30_000), SEED, LINKS)
    best = next(one for one in found if one.error < 1e-7)
    assert expression_text(best.expression) == "tanh(1.25 * latency_inflation - 0.75 * loss)"


def test_the_front_is_one(front: Front) -> None:
    assert pareto(front) == front
    costs, errors = [one.operations for one in front], [one.error for one in front]
    assert costs == sorted(set(costs))
    assert errors == sorted(set(errors), reverse=True)
    assert len(front) >= 2


def test_members_are_rules_that_settle(front: Front, tmp_path: Path) -> None:
    for one in front:
        rule = as_rule("member", one.expression)  # accepted by interval analysis
        assert rule.body == one.expression
        assert worst_path(rule.body) == one.operations
    write_front(tmp_path / "front.json", front)
    assert read_front(tmp_path / "front.json") == front


def test_numbers_have_four_digits(front: Front) -> None:
    numbers = [n.value for one in front for n in walk(one.expression) if hasattr(n, "value")]
    assert numbers
    assert all(float(f"{number:.4g}") == number for number in numbers)


def test_the_error_is_measured_on_links_that_it_did_not_see(front: Front) -> None:
    given = samples(TABLE, NAMES, ACTIONS, LINKS)
    for one in front:  # of another part of the links, yet near
        everywhere = given.error(as_rule("member", one.expression))
        assert one.error == pytest.approx(everywhere, rel=0.5, abs=1e-6)
    noise = np.random.default_rng(99).uniform(-1.0, 1.0, len(TABLE))
    found = operon_front(TABLE, NAMES, noise, QUICK, SEED, LINKS)
    assert min(one.error for one in found) > 0.9 / 3.0  # nothing of noise is to be learnt


def test_the_same_seed_gives_the_same_front() -> None:
    found, again, other = (
        operon_front(TABLE, NAMES, ACTIONS, QUICK, seed, LINKS) for seed in (SEED, SEED, SEED + 1)
    )
    assert again == found
    assert again.dropped == found.dropped
    assert other != found


def test_several_runs_are_at_least_as_good() -> None:
    found = operon_front(TABLE, NAMES, ACTIONS, QUICK, SEED, LINKS)
    more = operon_front(TABLE, NAMES, ACTIONS, replace(QUICK, runs=2), SEED, LINKS)
    for one in found:
        assert any(m.error <= one.error and m.operations <= one.operations for m in more)


@pytest.mark.parametrize("symbols", [OperonSettings().symbols, ("add", "mul", "sqrt", "square")])
def test_a_tree_means_the_same_as_its_rule(symbols: tuple[str, ...]) -> None:
    """To float32, in which Operon computes: a millionth of the largest value on the way."""
    given = samples(TABLE, NAMES, ACTIONS)
    shape = standard(given)
    table = shape.of(given.inputs)
    settings = replace(SMALL, symbols=symbols, evaluations=10_000)
    regressor = fitted(table, given.actions, settings, 5)
    columns = {key: place for place, key in enumerate(regressor.variables_)}
    compared = 0
    for individual in [model["tree"] for model in regressor.pareto_front_]:
        expected = np.ravel(regressor.evaluate_model(individual, table))
        try:
            found = sum_of(steps_of(individual, columns), shape.sums()).expression()
        except RuleError:
            assert "square" in symbols
            continue
        scale = 1.0 + float(np.abs(expected).max())
        assert np.abs(value(found, COLUMNS) - expected).max() < 2e-6 * scale
        compared += 1
    assert compared >= 3


def test_links_may_be_left_out_and_constant_columns_are() -> None:
    table = TABLE.copy()
    table[:, 3] = 0.5
    found = operon_front(table, NAMES, ACTIONS, QUICK, 1)
    for one in found:
        assert "throughput_ratio" not in expression_text(one.expression)


# --- trees by hand: the first argument stands directly before the function


def constant(number: float) -> Step:
    return Step("constant", 0, number)


def read(column: int, weight: float = 1.0) -> Step:
    return Step("variable", 0, weight, column)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([read(1, 2.5)], "2.5 * loss"),
        ([read(1), read(0), Step("-", 2, 1.0)], "latency_inflation - loss"),
        ([read(1), read(0), Step("/", 2, 1.0)], "latency_inflation / loss"),
        ([read(1), Step("-", 1, 1.0)], "-loss"),
        ([read(1), Step("/", 1, 3.0)], "3 / loss"),
        ([read(1), Step("+", 1, 1.0)], "loss"),
        (
            [read(2), read(1), read(0), Step("-", 3, 1.0)],
            "latency_inflation - (loss + send_ratio)",
        ),
        ([read(1), read(0), Step("fmin", 2, 1.0)], "min(latency_inflation, loss)"),
        ([read(1), read(0), Step("fmax", 2, 2.0)], "2 * max(latency_inflation, loss)"),
        ([read(1, 2.0), Step("tanh", 1, 1.0)], "tanh(2 * loss)"),
        ([read(1, 2.0), Step("square", 1, 1.0)], "4 * (loss * loss)"),
        (
            [read(1), constant(2.0), Step("*", 2, 1.0), constant(-0.5), Step("+", 2, 1.0)],
            "2 * loss - 0.5",
        ),
    ],
)
def test_trees_by_hand(steps: list[Step], text: str) -> None:
    assert expression_text(sum_of(steps, INPUTS).expression()) == text


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "0 trees"),
        ([read(0), read(1)], "2 trees"),
        ([read(0), Step("+", 2, 1.0)], "2 arguments, of 1"),
        ([read(0), Step("tanh", 0, 1.0)], "0 arguments"),
        ([read(0), Step("cos", 1, 1.0)], "no 'cos'"),
        ([read(0), read(1), Step("tanh", 2, 1.0)], "2 arguments, not 1"),
        ([read(0), read(1), Step("pow", 2, 1.0)], "no 'pow'"),
    ],
)
def test_other_trees_are_refused(steps: list[Step], message: str) -> None:
    with pytest.raises(RuleError, match=message):
        sum_of(steps, INPUTS)


@pytest.mark.parametrize("change", [*BAD_ROWS, "one link", "constant columns"])
def test_bad_rows_are_refused(change: str) -> None:
    table, names, actions, links = broken(change)
    other = {"one link": "none can be held out", "constant columns": "every column is constant"}
    with pytest.raises(ValueError, match=(BAD_ROWS | other)[change]):
        operon_front(table, names, actions, SMALL, 0, links)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ("add", "cos")}, "symbols has 'cos'"),
        ({"symbols": ()}, "symbols' count must be"),
        ({"symbols": ("add", "fmin")}, "symbols must have both"),
        ({"population": 1}, "population must be"),
        ({"generations": 0}, "generations must be"),
        ({"evaluations": 10}, "evaluations must be"),
        ({"iterations": -1}, "iterations must be"),
        ({"most_length": 2}, "most_length must be"),
        ({"most_depth": 1}, "most_depth must be"),
        ({"runs": 0}, "runs must be"),
        ({"held_out": 0.0}, "held_out must be"),
        ({"held_out": float("nan")}, "held_out must be"),
        ({"centre": None}, "centre must be true or false"),
        ({"digits": 18}, "digits must be"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"OperonSettings: {message}"):
        OperonSettings(**changes).check()
