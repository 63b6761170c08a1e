"""Operators as data: round trips, shapes, refusals; the reference against direct sums."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import need
from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair, operator_from_dict
from tuning.operators.epilogue import OUT_DTYPES, STEPS
from tuning.operators.reference import mismatch, random_operands, reference, tolerance

EPILOGUES = st.builds(
    Epilogue,
    st.lists(st.sampled_from(STEPS), max_size=4, unique=True).map(tuple),
    st.sampled_from(OUT_DTYPES),
)
SIZES = st.integers(1, 5000)


@st.composite
def convolutions(draw: st.DrawFn) -> Conv2d:
    """A convolution whose kernel fits its image."""
    kernel, dilation = draw(st.tuples(*[st.integers(1, 5)] * 2)), draw(st.integers(1, 3))
    height, width = (dilation * (k - 1) + 1 + draw(st.integers(0, 40)) for k in kernel)
    stride, padding = (draw(st.tuples(*[st.integers(low, 3)] * 2)) for low in (1, 0))
    both = (dilation, dilation)
    before, after = draw(SIZES), draw(SIZES)
    return Conv2d(2, height, width, before, after, kernel, stride, padding, both, draw(EPILOGUES))


GEMMS = st.builds(Gemm, SIZES, SIZES, SIZES, st.integers(1, 9), st.booleans(), EPILOGUES)


@given(GEMMS | convolutions())
def test_operators_survive_json(operator: Operator) -> None:
    assert operator_from_dict(json.loads(json.dumps(operator.to_dict()))) == operator


@given(GEMMS | convolutions(), GEMMS | convolutions())
def test_texts_tell_operators_apart(one: Operator, other: Operator) -> None:
    assert (one.text() == other.text()) == (one == other)


@given(GEMMS | convolutions())
def test_outputs_have_the_shape_of_the_implicit_gemm(operator: Operator) -> None:
    output = operator.operands()[-1]
    assert output.role == "output"
    if isinstance(operator, Conv2d):
        m, n, k = operator.as_gemm
        assert output.size == m * n
        assert operator.flops == 2 * m * n * k


@given(EPILOGUES)
def test_epilogues_survive_text(epilogue: Epilogue) -> None:
    assert Epilogue.parse(epilogue.text()) == epilogue


def test_pairs_survive_json_and_name_the_second_halfs_operands() -> None:
    pair = Pair(Gemm(8, 4, 2), Gemm(8, 3, 4, epilogue=Epilogue(("bias",))))
    assert operator_from_dict(json.loads(json.dumps(pair.to_dict()))) == pair
    assert [o.name for o in pair.operands()] == ["a", "b", "b1", "bias1", "d"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gemm(0, 1, 1), "m: 0 is not between"),
        (lambda: Gemm(1, 1, 2**31), "k: 2147483648 is not between"),
        (lambda: Gemm(2**30, 2**30, 1), "is too large"),
        (lambda: Gemm(1, True, 1), "n: 'True' is not a whole number"),
        (lambda: Conv2d(1, 2, 2, 1, 1, (3, 3)), "kernel: .* is larger than the padded image"),
        (lambda: Conv2d(1, 9, 9, 1, 1, (3, 3), (0, 1)), "stride: 0 is not between"),
        (lambda: Pair(Gemm(2, 3, 4), Gemm(2, 3, 4)), "its input is not the output"),
        (lambda: Pair(Gemm(2, 3, 4), Gemm(2, 3, 3, 1, False)), "constant weights"),
        (lambda: Epilogue(("bias", "bias")), "has 'bias' twice"),
        (lambda: Epilogue(("tanh",)), "is none of"),
        (lambda: Epilogue(("relu",) * 9), "more than 8 steps"),
        (lambda: Epilogue((), "int8"), "out_dtype 'int8' is none of"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "kind: an operator is one of"),
        ([], "kind: an operator is one of"),
        ({"kind": "gemm", "batch": 1}, "m: missing"),
        (Gemm(1, 1, 1).to_dict() | {"z": 1}, "z: unknown field"),
        (Gemm(1, 1, 1).to_dict() | {"epilogue": 3}, "epilogue: is not text"),
        (Conv2d(1, 3, 3, 1, 1).to_dict() | {"kernel": 3}, "kernel: is not a pair"),
        (Gemm(1, 1, 1).to_dict() | {"k": float("nan")}, "k: 'nan' is not a whole number"),
        ({"kind": "pair", "first": {}, "second": {}}, "first: is neither"),
    ],
)
def test_malformed_data_name_the_field(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator_from_dict(data)


def test_operands_depend_on_seed_and_operator_only() -> None:
    one, again = random_operands(Gemm(5, 6, 7), 1), random_operands(Gemm(5, 6, 7), 1)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["a"], random_operands(Gemm(5, 6, 7), 2)["a"])


def test_the_reference_convolution_is_the_sum_it_stands_for() -> None:
    need("torch")
    conv = Conv2d(2, 7, 6, 3, 4, (3, 2), (2, 1), (1, 2), (1, 2))
    operands = random_operands(conv)
    image = np.pad(operands["x"].astype(float), ((0, 0), (1, 1), (2, 2), (0, 0)))
    wanted = np.zeros((2, conv.out_height, conv.out_width, 4))
    for n, h, w in np.ndindex(wanted.shape[:3]):
        patch = image[n, 2 * h : 2 * h + 3, w : w + 3 : 2]
        wanted[n, h, w] = np.einsum("orsc,rsc->o", operands["w"], patch)
    np.testing.assert_allclose(reference(conv, operands), wanted, rtol=1e-5, atol=1e-5)


def test_a_mismatch_is_found_and_says_where() -> None:
    need("torch")
    operator = Gemm(9, 8, 7)
    operands = random_operands(operator)
    stored = reference(operator, operands).copy()
    assert mismatch(operator, operands, stored) is None
    stored[4, 5] += 3 * tolerance(operator, operands) * (1 + abs(stored[4, 5]))
    assert "at (4, 5)" in str(mismatch(operator, operands, stored))
    for bad in (np.nan, np.inf):
        stored[4, 5] = bad
        assert "at (4, 5)" in str(mismatch(operator, operands, stored))
    assert "shape (8, 8)" in str(mismatch(operator, operands, stored[:8]))


def test_a_padded_image_that_no_machine_holds_is_refused():
    most = 2**31 - 1
    with pytest.raises(ValueError, match=r"operand x with its padding of shape .* is too large"):
        Conv2d(1, 1, 1, 1, 1, (1, 1), (most, most), (most, most))
