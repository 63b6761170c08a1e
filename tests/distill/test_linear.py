"""The linear rule: linear laws exactly, few terms, none that does nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion.rule_inputs import INPUTS
from policies.distill.fronts import as_rule
from policies.distill.linear import linear_rule, selected
from policies.distill.regression import samples
from policies.rules.count import worst_path
from policies.rules.syntax import Number, Variable, walk
from policies.rules.write import expression_text
from tests.distill.made_rows import NAMES, by_name, clipped_law, rows, value
from tests.distill.test_regression import BAD_ROWS, broken

TABLE, _ = rows(400)
COLUMNS = by_name(TABLE)
SLOPES = st.integers(-300, 300).filter(lambda n: abs(n) > 5).map(lambda n: n / 1000.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(SLOPES, min_size=1, max_size=3), st.integers(-100, 100), st.permutations(NAMES))
def test_linear_laws_are_recovered_exactly(
    slopes: list[float], offset: int, names: tuple[str, ...]
) -> None:
    law = dict(zip(names, slopes, strict=False))
    actions = sum(slope * COLUMNS[name] for name, slope in law.items()) + offset / 1000.0
    scale = 1.0 if np.abs(actions).max() <= 1.0 else 0.1
    found = linear_rule(TABLE, NAMES, scale * actions, 0.0, worth=1e-9)
    assert value(found, COLUMNS) == pytest.approx(scale * actions, abs=1e-12)
    used = {node.name for node in walk(found) if isinstance(node, Variable)}
    assert used == set(law)
    assert worst_path(found) <= 2 * len(law)


def test_the_rule_reads_well() -> None:
    loss, ratio = COLUMNS["loss"], COLUMNS["send_ratio"]
    found = linear_rule(TABLE, NAMES, 0.3 - 0.2 * loss - 0.25 * ratio)
    assert expression_text(found) == "0.3 - (0.25 * send_ratio + 0.2 * loss)"


def test_terms_fall_away_one_by_one() -> None:
    """Fewer terms are never better, and those that stay are the ones that matter most."""
    given = samples(TABLE, NAMES, clipped_law(TABLE))
    found = [linear_rule(TABLE, NAMES, given.actions, most_terms=n, worth=0.0) for n in (1, 2, 3)]
    errors = [given.error(as_rule("linear", rule)) for rule in found]
    assert errors == sorted(errors, reverse=True)
    uses = [{node.name for node in walk(rule) if isinstance(node, Variable)} for rule in found]
    assert uses[0] == {"latency_inflation"}
    assert uses[0] < uses[1] < uses[2]
    assert "throughput_ratio" not in uses[2]


def test_a_term_must_be_worth_it() -> None:
    luck = np.random.default_rng(3)
    noise = luck.normal(0.0, 0.05, len(TABLE))
    actions = np.clip(0.5 * COLUMNS["latency_inflation"] + noise, -1.0, 1.0)
    strict = linear_rule(TABLE, NAMES, actions, worth=0.02)
    assert {n.name for n in walk(strict) if isinstance(n, Variable)} == {"latency_inflation"}
    assert worst_path(linear_rule(TABLE, NAMES, actions, worth=0.0)) > worst_path(strict)
    pure = np.clip(noise, -1.0, 1.0)
    assert linear_rule(TABLE, NAMES, pure, worth=0.5) == Number(float(f"{pure.mean():.4g}"))


def test_the_whole_table_stays_within_sixty_operations() -> None:
    """Though value, slow mean and change of a feature are linearly dependent."""
    names = tuple(INPUTS)
    table, _ = rows(2000, names, seed=5)
    slow, change = names.index("loss_slow"), names.index("loss_change")
    table[:, names.index("loss")] = np.clip(table[:, slow] + 0.875 * table[:, change], 0.0, 1.0)
    luck = np.random.default_rng(6)
    weighed = (table - table.mean(axis=0)) / table.std(axis=0) @ luck.normal(0.0, 1.0, len(names))
    actions = np.tanh(weighed / 5.0)
    found = linear_rule(table, names, actions, worth=0.0)
    assert 30 < worst_path(found) <= 60
    assert found.depth < 12
    given = samples(table, names, actions)
    assert given.error(as_rule("linear", found)) < 0.5 * actions.var()


def test_dependent_columns_are_not_taken_twice() -> None:
    table = np.column_stack([TABLE[:, 1], TABLE[:, 1], TABLE[:, 0]])
    names = ("loss", "loss_fast", "latency_inflation")
    found = linear_rule(table, names, 0.5 * table[:, 0] - 0.25 * table[:, 2], 0.0, worth=1e-9)
    assert expression_text(found) in (
        "0.5 * loss - 0.25 * latency_inflation",
        "0.5 * loss_fast - 0.25 * latency_inflation",
    )


def test_ridge_shrinks() -> None:
    actions = 0.5 * COLUMNS["loss"]
    free = value(linear_rule(TABLE[:, 1:2], ("loss",), actions, 0.0), COLUMNS)
    held = value(linear_rule(TABLE[:, 1:2], ("loss",), actions, 1.0), COLUMNS)
    assert np.std(held) == pytest.approx(np.std(free) / 2.0, rel=1e-3)
    assert np.mean(held) == pytest.approx(np.mean(free), abs=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_selection_agrees_with_least_squares(seed: int) -> None:
    luck = np.random.default_rng(seed)
    table, wanted = luck.normal(size=(50, 6)), luck.normal(size=50)
    products, answers = table.T @ table / 50, table.T @ wanted / 50
    taken, weights = selected(products, answers, float(np.mean(wanted**2)), 0.0, 4, 0.0)
    expected = np.linalg.lstsq(table[:, taken], wanted, rcond=None)[0]
    assert weights == pytest.approx(expected, abs=1e-9)
    first = [np.mean((wanted - column * (column @ wanted) / (column @ column)) ** 2)
             for column in table.T]  # fmt: skip
    assert taken[0] == int(np.argmin(first))


@pytest.mark.parametrize("change", [*(c for c in BAD_ROWS if "links" not in c), "constant columns"])
def test_bad_rows_are_refused(change: str) -> None:
    table, names, actions, _ = broken(change)
    with pytest.raises(ValueError, match=BAD_ROWS.get(change, "every column is constant")):
        linear_rule(table, names, actions)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ridge": -1.0}, "ridge must be"),
        ({"ridge": float("nan")}, "ridge must be"),
        ({"most_terms": 0}, "most_terms must be"),
        ({"most_terms": 31}, "most_terms must be"),
        ({"worth": 1.0}, "worth must be"),
        ({"digits": 0}, "digits must be"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"linear_rule: {message}"):
        linear_rule(TABLE, NAMES, clipped_law(TABLE), **settings)
