"""Numbers of expressions: out, in, and what stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distill.constants import constants, rounded, with_constants
from policies.rules.parse import parse_rule
from policies.rules.syntax import Expression, Number, RuleError, walk
from tests.rules.random_rules import random_expression

TEXT = """triptych-rule 1
name x
action [-1, 1]
input loss [0, 1]

if loss <= 0.25 then 2 * loss - 3 else if loss * 4 < 5 then 6 else -loss
"""


def expression_of(seed: int) -> Expression:
    rng = np.random.default_rng(seed)
    return random_expression(lambda options: options[rng.integers(len(options))], 6)


def test_numbers_come_in_the_order_of_the_text() -> None:
    body = parse_rule(TEXT).body
    assert constants(body) == [0.25, 2, 3, 4, 5, 6]
    assert constants(body, thresholds=False) == [2, 3, 6]
    changed = with_constants(body, [20, 30, 60], thresholds=False)
    assert constants(changed) == [0.25, 20, 30, 4, 5, 60]


@given(seed=st.integers(0, 10_000), thresholds=st.booleans())
def test_out_and_in_is_the_same(seed: int, thresholds: bool) -> None:
    body = expression_of(seed)
    numbers = constants(body, thresholds)
    assert with_constants(body, numbers, thresholds) == body
    moved = [value + 1.0 for value in numbers]
    changed = with_constants(body, moved, thresholds)
    assert constants(changed, thresholds) == moved
    assert [type(node) for node in walk(changed)] == [type(node) for node in walk(body)]
    if thresholds:
        assert numbers == [node.value for node in walk(body) if isinstance(node, Number)]


@pytest.mark.parametrize("count", [0, 5, 7])
def test_another_count_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} values for"):
        with_constants(parse_rule(TEXT).body, [1.0] * count)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(RuleError, match="is not finite"):
        with_constants(Number(1.0), [value])


@given(value=st.floats(min_value=-1e90, max_value=1e90), digits=st.integers(2, 17))
def test_rounding_is_near_short_and_idempotent(value: float, digits: int) -> None:
    found = rounded(value, digits)
    assert found == pytest.approx(value, rel=10.0 ** (1 - digits), abs=5e-324)
    assert rounded(found, digits) == found
    assert rounded(-value, digits) == -found
