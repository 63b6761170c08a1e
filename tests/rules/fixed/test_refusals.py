"""What cannot be compiled safely is refused in one line that names the part and the reason."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from policies.rules.fixed.c_source import c_fixed
from policies.rules.fixed.compile import compile_fixed
from policies.rules.fixed.evaluate import evaluate_fixed
from policies.rules.fixed.formats import LONGEST, SHORTEST, format_of, quantised
from policies.rules.parse import parse_rule
from policies.rules.syntax import RuleError

HEAD = "triptych-rule 1\nname x\naction [-1, 1]\ninput a [-3, 3]\ninput big [-1e30, 1e30]\n"


@pytest.mark.parametrize(
    ("body", "part", "reason"),
    [
        ("3e16 + a - 3e16", "3e+16 + a", "fewer than 8 bits of a value that it needs"),
        ("if a < 1 then (big + a) * 0.5 else 0", "big + a", "narrow the bounds of its inputs"),
        ("a / big", "a / big", "divides by what may be zero and may be larger than 2**42"),
        ("log(big)", "log(big)", "takes log of what may be zero and may exceed 2**42"),
    ],
)
def test_parts_without_a_format_are_refused(body, part, reason):
    with pytest.raises(RuleError) as error:
        compile_fixed(parse_rule(HEAD + body))
    message = str(error.value)
    assert message.startswith(f"`{part}` ")
    assert reason in message
    assert len(message.splitlines()) == 1


def test_large_inputs_that_are_scaled_down_are_no_reason_to_refuse():
    fixed = compile_fixed(parse_rule(HEAD + "tanh(big * 1e-30)"))
    raw = evaluate_fixed(fixed, quantised(fixed.inputs, {"a": [0.0], "big": [5e29]}))
    assert math.ldexp(float(raw[0]), -fixed.action.fraction) == pytest.approx(
        math.tanh(0.5), abs=fixed.bound
    )


def test_rules_too_large_for_a_kernel_are_refused():
    roots = [f"log(a + {n}.5)" for n in range(256)]
    while len(roots) > 1:
        roots = [f"({' + '.join(pair)})" for pair in zip(roots[::2], roots[1::2], strict=False)]
    with pytest.raises(RuleError, match=r"rule x: about .* instructions in a kernel, more than"):
        compile_fixed(parse_rule(f"{HEAD}1e-5 * {roots[0]}"))
    few = " + ".join(f"log(a + {n}.5)" for n in range(20))
    branches = " else ".join(f"if a < {n / 10} then 1e-5 * ({few} + {n})" for n in range(5))
    compile_fixed(parse_rule(f"{HEAD}{branches} else 1"))
    with pytest.raises(RuleError, match="on the costliest path, more than"):
        compile_fixed(parse_rule(f"{HEAD}1e-5 * (({few}) * ({few}) * ({few}))"))


def test_bounds_that_are_one_number_are_refused():
    text = "triptych-rule 1\nname x\naction [-1, 1]\ninput a [1, 1.000000001]\na\n"
    with pytest.raises(RuleError, match=r"^a: bounds .* are one number .* move them apart"):
        compile_fixed(parse_rule(text))
    text = "triptych-rule 1\nname x\naction [1, 1.000000001]\ninput a [1, 2]\na\n"
    with pytest.raises(RuleError, match=r"^action: bounds"):
        compile_fixed(parse_rule(text))


@pytest.mark.parametrize("low", [-1e100, -1e30, -1.0, 0.0, 1e-30, 0.5])
@pytest.mark.parametrize("high", [1.0, 3.7, 1e4, 1e30, 1e100])
def test_formats_hold_their_bounds_in_few_bits(low, high):
    form = format_of("a", low, high)
    most = max(-form.low, form.high)
    assert SHORTEST - 1 <= most.bit_length() <= LONGEST + 1
    one = Fraction(2) ** -form.fraction
    assert 0 <= form.low * one - Fraction(low) < one
    assert 0 <= Fraction(high) - form.high * one < one


def test_inputs_are_brought_in_bounds_and_nan_is_the_lower_one():
    rule = parse_rule("triptych-rule 1\nname x\naction [-1, 1]\ninput a [0.1, 2]\na\n")
    fixed = compile_fixed(rule)
    given = np.array([np.nan, -np.inf, np.inf, 1e308, 0.5, 0.1, 2.0])
    raw = quantised(fixed.inputs, {"a": given})[:, 0]
    low, high = fixed.inputs[0].low, fixed.inputs[0].high
    assert raw.tolist() == [low, low, high, high, 1 << 23, low, high]
    with pytest.raises(KeyError, match="'a' is missing"):
        quantised(fixed.inputs, {"b": given})


def test_rows_of_another_type_or_shape_are_refused():
    fixed = compile_fixed(parse_rule(HEAD + "a"))
    for rows in (np.zeros((2, 2)), np.zeros(2, np.int64), np.zeros((2, 3), np.int64)):
        with pytest.raises(ValueError, match=r"rows: must be int64\[n, 2\]"):
            evaluate_fixed(fixed, rows)
    assert evaluate_fixed(fixed, np.zeros((0, 2), np.int64)).shape == (0,)


@pytest.mark.parametrize("name", ["", "1x", "a b", "x" * 61, "a;", "é"])
def test_names_that_c_cannot_have_are_refused(name):
    fixed = compile_fixed(parse_rule(HEAD + "a"))
    with pytest.raises(ValueError, match="cannot name a C function"):
        c_fixed(fixed, name)


def test_the_source_shows_the_rule_and_its_formats():
    source = c_fixed(compile_fixed(parse_rule(HEAD + "if a <= 0.5 then tanh(a) else -1")), "f")
    assert "inputs[0]: a, 24 fractional bits, -50331648 to 50331648" in source
    assert "static __always_inline s64 f(const s64 *inputs)" in source
    for text in ("/* if a <= 0.5 */", "/* tanh(a) */", "/* -1 */"):
        assert text in source
    assert not re.search(r"\b(double|float|__int128|include)\b", source)
