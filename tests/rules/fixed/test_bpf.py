"""Rules in integers as BPF: they pass the kernel's verifier and decide there to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from policies.rules.fixed.compile import MOST_INSTRUCTIONS, compile_fixed, instructions
from policies.rules.fixed.evaluate import evaluate_fixed
from policies.rules.parse import read_rule
from tests import needs
from tests.rules.fixed.fixed_rules import BRANCHED, GATED, integer_rows, long_rule, written
from tests.rules.fixed.in_kernel import bpf_code, decisions_in_kernel
from tests.rules.fixed.test_compile import SHIPPED, compiled
from tests.rules.random_rules import many_rules

RULES = {
    **{path.stem: read_rule(path) for path in SHIPPED},
    "branched": written(BRANCHED),
    "gated": written(GATED),
    "long": long_rule(),
}
AROUND = 40
"""Instructions of the program that calls a rule, and to read inputs again in other branches."""


@pytest.mark.parametrize("name", RULES)
def test_rules_decide_in_the_kernel_as_in_numpy(name, tmp_path):
    needs.need("clang")
    fixed = compile_fixed(RULES[name])
    code = bpf_code(tmp_path, fixed)
    needs.need("bpf")
    rows = integer_rows(fixed, np.random.default_rng(3), 500)
    assert np.array_equal(decisions_in_kernel(code, rows), evaluate_fixed(fixed, rows))


def test_random_rules_decide_in_the_kernel_as_in_numpy_and_are_as_long_as_said(tmp_path):
    needs.need("clang")
    some = compiled(many_rules(25, seed=31))
    programs = [(fixed, bpf_code(tmp_path, fixed)) for fixed in some]
    for fixed, code in programs:
        assert len(code) // 8 <= instructions(fixed.body) + AROUND <= MOST_INSTRUCTIONS
    needs.need("bpf")
    for fixed, code in programs:
        rows = integer_rows(fixed, np.random.default_rng(3), 100)
        assert np.array_equal(decisions_in_kernel(code, rows), evaluate_fixed(fixed, rows))
