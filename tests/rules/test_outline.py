"""The drawing of a rule, and the C source of one."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.setup.programs import ProgramFailedError
from policies.rules.c_source import c_function
from policies.rules.outline import outline
from policies.rules.parse import parse_rule
from tests.rules.compiled import by_c
from tests.rules.test_parse import EXAMPLE, HEAD


def test_the_drawing():
    assert outline(parse_rule(EXAMPLE)) == (
        "symbolic_branched: action in [-1, 1]\n"
        "reads latency_ratio in [1, 8], loss in [0, 1]\n"
        "8 operations in all; a decision takes at most 5, 2 of them to choose the formula\n"
        "loss <= 0.031 ?\n"
        "├─ yes: 0.5 * tanh(1.25 - latency_ratio)  [-0.5 to 0.1225; 3 operations]\n"
        "└─ no: latency_ratio < 1.2 ?\n"
        "   ├─ yes: 1  [1 to 1; 0 operations]\n"
        "   └─ no: max(-1, 1 - latency_ratio / 2)  [-1 to 0.5; 3 operations]\n"
    )
    nested = parse_rule(f"{HEAD}if a < bb then if a < 1 then -a else 3 else 4")
    assert outline(nested).splitlines()[3:] == [
        "a < bb ?",
        "├─ yes: a < 1 ?",
        "│  ├─ yes: -a  [-1 to 0; 1 operation]",
        "│  └─ no: 3  [3 to 3; 0 operations]",
        "└─ no: 4  [4 to 4; 0 operations]",
    ]


def test_c_reads_as_the_rule_does():
    source = c_function(parse_rule(EXAMPLE), "decide")
    assert "double decide(const double *inputs)" in source
    assert "const double x1 = rule_clamped(inputs[1], 0x0.0p+0, 0x1.0000000000000p+0);" in source
    assert "/* loss */" in source


def test_inputs_that_are_not_read_cost_nothing():
    source = c_function(parse_rule(f"{HEAD}bb + 1"), "decide")
    assert "inputs[0]" not in source
    assert "(void)inputs" in c_function(parse_rule(f"{HEAD}1"), "decide")


@pytest.mark.parametrize("name", ["", "2x", "a b", "a;", "x" * 61, "é"])
def test_names_that_c_does_not_take(name):
    with pytest.raises(ValueError, match="cannot name a C function"):
        c_function(parse_rule(EXAMPLE), name)


def test_fast_math_is_refused_by_the_source_itself(tmp_path):
    rule = parse_rule(EXAMPLE)
    rows = np.zeros((1, 2))
    with pytest.raises(ProgramFailedError):
        by_c(tmp_path, [rule], rows, "-ffast-math")
