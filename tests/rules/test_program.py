"""Programs: their header, their stack, and that they run from anywhere, by pointer too."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numba import cfunc, types

from policies.congestion.hooks import ROWS, hook
from policies.rules import machine
from policies.rules import opcodes as op
from policies.rules.evaluate import evaluate
from policies.rules.parse import parse_rule
from policies.rules.program import MOST_SLOTS, compile_rule
from policies.rules.syntax import MOST_DEPTH
from tests.rules.random_rules import INPUTS, bits, inputs_of, many_rules, rules
from tests.rules.test_parse import EXAMPLE, HEAD

AT, FIRST_INPUT, FIRST_SLOT = 3, 6, 11


@hook
def decide(state: Any, event: Any, constants: Any) -> None:
    """Act as a controller does whose constants hold a rule after three parameters."""
    state[0] = machine.run(constants, AT, state, FIRST_INPUT, FIRST_SLOT)


def test_the_header_tells_what_a_controller_needs():
    program = compile_rule(parse_rule(EXAMPLE))
    assert program.dtype == np.float64
    assert program[op.VERSION] == op.CURRENT
    assert program[op.INPUTS] == 2
    assert program[op.SLOTS] == 4
    assert program[[op.LOW, op.HIGH]].tolist() == [-1.0, 1.0]
    assert program[op.BOUNDS : op.BOUNDS + 4].tolist() == [1.0, 8.0, 0.0, 1.0]


def instructions(program: np.ndarray) -> list[tuple[int, int, float]]:
    """Return (offset, operation, operand or NaN) of each instruction in the order of the text."""
    found = []
    at = op.BOUNDS + 2 * int(program[op.INPUTS])
    while at < len(program):
        operation = int(program[at])
        operand = program[at + 1] if operation in op.WITH_OPERAND else np.nan
        found.append((at, operation, float(operand)))
        at += 2 if operation in op.WITH_OPERAND else 1
    return found


def deepest(program: np.ndarray) -> int:
    """Return the most slots in use on any way through the program; jumps must lead forward."""
    code = {at: (operation, operand) for at, operation, operand in instructions(program)}
    heights = {min(code): 0}
    most = 0
    for at, (operation, operand) in code.items():
        height = heights[at]  # set, since every instruction is reached from before it
        if operation == op.END:
            assert height == 1
            assert at == len(program) - 1
            continue
        if operation in (op.NUMBER, op.INPUT):
            height += 1
        elif operation >= op.UNLESS_LESS:
            height -= 2
        elif operation >= op.ADD:
            height -= 1
        assert height >= 0
        most = max(most, height)
        after = [at + (2 if operation in op.WITH_OPERAND else 1)]
        if operation in (op.JUMP, *range(op.UNLESS_LESS, op.UNLESS_AT_LEAST + 1)):
            assert operand > at
            after = [int(operand)] if operation == op.JUMP else [*after, int(operand)]
        for following in after:
            assert heights.setdefault(following, height) == height
    return most


@settings(deadline=None, max_examples=60)
@given(rules(depth=6))
def test_programs_are_sound_and_need_the_slots_that_they_say(rule):
    program = compile_rule(rule)
    assert np.isfinite(program).all()
    assert deepest(program) == program[op.SLOTS] <= MOST_SLOTS


def test_the_deepest_rule_fits_the_stack():
    right = "a - (" * (MOST_DEPTH - 1) + "a" + ")" * (MOST_DEPTH - 1)
    program = compile_rule(parse_rule(HEAD + right))
    assert program[op.SLOTS] == MOST_SLOTS == deepest(program)
    left = compile_rule(parse_rule(HEAD + "+".join(["a"] * MOST_DEPTH)))
    assert left[op.SLOTS] == 2


@settings(deadline=None, max_examples=40)
@given(rules(depth=5), inputs_of())
def test_a_program_runs_from_anywhere_and_writes_its_stack_only(rule, inputs):
    program = compile_rule(rule)
    slots = int(program[op.SLOTS])
    constants = np.concatenate([np.full(AT, np.nan), program, np.full(2, np.nan)])
    state = np.full(FIRST_SLOT + slots + 3, 7.25)
    state[FIRST_INPUT : FIRST_INPUT + len(INPUTS)] = [inputs[i.name] for i in INPUTS]
    before = state.copy()
    decide(state, state, constants)
    assert bits(state[0]) == bits(evaluate(rule, inputs))
    changed = bits(state) != bits(before)
    assert not changed[1:FIRST_SLOT].any()
    assert not changed[FIRST_SLOT + slots :].any()


def test_a_program_runs_on_bare_pointers():
    compiled = cfunc(types.void(*ROWS))(decide.py_func)
    call = compiled.ctypes
    double = ctypes.POINTER(ctypes.c_double)
    rng = np.random.default_rng(2)
    for rule in many_rules(30, seed=4):
        program = compile_rule(rule)
        constants = np.concatenate([np.zeros(AT), program])
        state = np.zeros(FIRST_SLOT + MOST_SLOTS)
        values = rng.normal(0.0, 2.0, len(INPUTS))
        state[FIRST_INPUT : FIRST_INPUT + len(INPUTS)] = values
        call(*(row.ctypes.data_as(double) for row in (state, state, constants)))
        expected = evaluate(rule, {i.name: v for i, v in zip(INPUTS, values, strict=True)})
        assert bits(state[0]) == bits(expected)


def test_other_versions_and_no_program_at_all_are_refused():
    program = compile_rule(parse_rule(EXAMPLE))
    row = np.zeros(20)
    assert machine.run(program, 0, row, 0, 2) == evaluate(
        parse_rule(EXAMPLE), {"latency_ratio": 0.0, "loss": 0.0}
    )
    for other in (0.0, op.CURRENT + 1.0, np.nan):
        program[op.VERSION] = other
        with pytest.raises(ValueError, match="no rule program of this version"):
            machine.run(program, 0, row, 0, 2)
