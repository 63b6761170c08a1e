"""Laws of rules in integers: to the bit in C, within their bound of float64, never overflowing."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings

from policies.congestion import symbolic
from policies.rules.evaluate import evaluate_many
from policies.rules.fixed.compare import compared, near_boundary, sampled
from policies.rules.fixed.compile import FixedRule, compile_fixed
from policies.rules.fixed.evaluate import evaluate_fixed
from policies.rules.fixed.formats import quantised
from policies.rules.fixed.terms import BITS, Term
from policies.rules.parse import parse_rule, read_rule
from policies.rules.rule import Rule
from policies.rules.syntax import RuleError
from tests.rules.fixed.compiled_fixed import by_c
from tests.rules.fixed.fixed_rules import (
    BRANCHED,
    GATED,
    as_met,
    integer_rows,
    long_rule,
    written,
)
from tests.rules.random_rules import columns, inputs_of, many_inputs, many_rules, rules

EXTENSIVE = pytest.mark.extensive
SHIPPED = sorted(symbolic.FOLDER.glob("*.rule"))
WRITTEN = {"branched": written(BRANCHED), "gated": written(GATED), "long": long_rule()}


def compiled(some: list[Rule]) -> list[FixedRule]:
    """Return those that are not refused."""
    found = []
    for rule in some:
        with contextlib.suppress(RuleError):
            found.append(compile_fixed(rule))
    return found


@settings(deadline=None, max_examples=150)
@given(rules(), inputs_of())
def test_actions_are_in_bounds_and_as_near_as_promised(rule, inputs):
    try:
        fixed = compile_fixed(rule)
    except RuleError:
        assume(False)
    one = {name: np.array([x]) for name, x in inputs.items()}
    raw = evaluate_fixed(fixed, quantised(fixed.inputs, one))
    assert fixed.action.low <= raw[0] <= fixed.action.high
    action = math.ldexp(float(raw[0]), -fixed.action.fraction)
    assert rule.low <= action <= rule.high
    if not near_boundary(fixed, one)[0]:
        assert abs(action - evaluate_many(rule, one)[0]) <= fixed.bound


def test_random_rules_in_c_give_the_same_bits_and_trap_nothing(tmp_path):
    some = compiled(many_rules(100, seed=23))
    assert len(some) > 80
    rng = np.random.default_rng(1)
    for fixed, decide in zip(some, by_c(tmp_path, some), strict=True):
        rows = integer_rows(fixed, rng, 2000)
        found = decide(rows)
        assert np.array_equal(found, evaluate_fixed(fixed, rows)), fixed.rule
        assert fixed.action.low <= found.min() <= found.max() <= fixed.action.high


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=EXTENSIVE) for seed in range(2, 6))]
)
def test_random_rules_are_within_their_bounds_of_float64(seed):
    some = compiled(many_rules(250, seed=seed))
    sharp = 0
    for fixed in some:
        rows = many_inputs(np.random.default_rng(seed), 1000)
        with np.errstate(invalid="ignore"):  # signalling NaN
            found = compared(fixed, columns(rows))
        assert found.worst <= found.bound, fixed.rule
        sharp += found.bound < 1e-3 * found.range
    assert sharp > len(some) // 2  # the promise says something


class Parts:
    """Terms of a rule, evaluated one by one with the rule's own evaluator."""

    def __init__(self, fixed: FixedRule, rows: np.ndarray) -> None:
        self.fixed, self.rows = fixed, rows

    def of(self, term: Term) -> np.ndarray:
        return evaluate_fixed(replace(self.fixed, body=term), self.rows)

    def parts(self, term: Term) -> list[Term]:
        found = [term]
        for arg in term.args:
            found += self.parts(arg)
        return found


def test_every_value_lies_within_its_bounds():
    for fixed in compiled(many_rules(120, seed=9)):
        body = Parts(fixed, integer_rows(fixed, np.random.default_rng(4), 200))
        parts = body.parts(fixed.body)
        if any(part.kind in ("<", "<=", ">", ">=") for part in parts):
            continue  # bounds behind a branch hold where it is taken
        for part in parts:
            raw = body.of(part)
            assert part.low <= raw.min() <= raw.max() <= part.high, part.kind
            assert part.bits <= BITS


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_rules_keep_their_decisions_on_a_million_inputs(path: Path, tmp_path):
    rule = read_rule(path)
    fixed = compile_fixed(rule)
    (decide,) = by_c(tmp_path, [fixed])
    for inputs in (sampled(fixed, 500_000, seed=1), as_met(rule, 500_000, seed=2)):
        found = compared(fixed, inputs, decide)
        assert found.worst <= found.bound <= 1e-4 * found.range
        assert found.near <= 0.001 * found.inputs


@pytest.mark.parametrize("name", WRITTEN)
def test_written_rules_keep_their_decisions(name, tmp_path):
    fixed = compile_fixed(WRITTEN[name])
    (decide,) = by_c(tmp_path, [fixed])
    for inputs in (sampled(fixed, 100_000, seed=1), as_met(fixed.rule, 100_000, seed=2)):
        found = compared(fixed, inputs, decide)
        assert found.worst <= found.bound
        assert found.worst <= 1e-4 * found.range
        assert found.near <= 0.001 * found.inputs
        rows = quantised(fixed.inputs, inputs)
        assert np.array_equal(decide(rows), evaluate_fixed(fixed, rows))


def test_a_margin_is_what_tells_the_branches_apart():
    fixed = compile_fixed(written("if loss_slow < 0.03 then 1 else -1"))
    quantum = 2.0**-24
    loss = 0.03 + quantum * np.array([-9.0, -0.4, 0.4, 9.0])
    inputs = {i.name: np.full(4, i.low) for i in fixed.rule.inputs} | {"loss_slow": loss}
    assert near_boundary(fixed, inputs).tolist() == [False, True, True, False]
    found = compared(fixed, inputs)
    assert (found.inputs, found.near, found.worst, found.range) == (4, 2, 0.0, 2.0)


def test_a_divisor_that_may_change_sign_has_a_margin():
    head = "triptych-rule 1\nname x\naction [-1, 1]\ninput a [-1, 1]\n"
    fixed = compile_fixed(parse_rule(f"{head}1e-6 / a"))
    near = near_boundary(fixed, {"a": np.array([-0.5, -1e-9, 0.0, 1e-9, 0.5])})
    assert near.tolist() == [False, True, True, True, False]
