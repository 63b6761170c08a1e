"""Bounds of any size: a rule is refused in one line, or as near to float64 as it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.rules.fixed.c_source import c_fixed
from policies.rules.fixed.compare import compared
from policies.rules.fixed.compile import compile_fixed
from policies.rules.rule import Rule
from policies.rules.syntax import Input, RuleError
from tests.rules.random_rules import INPUTS, columns, many_inputs, random_expression

ENDS = st.sampled_from(
    (0.0, 1.0, -1.0, 0.3, 5e-324, 1e-300, 1e-30, 1e-9, 2.0**-20, 1e6, 1e30, 1e100, -1e100, -3e-7)
)
PAIRS = st.tuples(ENDS, ENDS).filter(lambda ends: ends[0] != ends[1]).map(sorted)


@pytest.mark.extensive
@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_bounds_are_refused_or_kept(data):
    inputs = tuple(Input(i.name, *data.draw(PAIRS)) for i in INPUTS)
    body = random_expression(lambda options: data.draw(st.sampled_from(options)), 5)
    try:
        fixed = compile_fixed(Rule("x", *data.draw(PAIRS), inputs, body))
    except RuleError as error:
        message = str(error)
    else:
        message = "one line"
        rows = many_inputs(np.random.default_rng(1), 100, inputs)
        with np.errstate(invalid="ignore"):  # signalling NaN
            found = compared(fixed, columns(rows, inputs))
        assert found.worst <= found.bound
        assert c_fixed(fixed, "decide").isascii()
    assert len(message.splitlines()) == 1
