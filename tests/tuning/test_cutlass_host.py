"""CUTLASS's output operators and the project's own, run on the CPU against float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.needs import need
from tests.tuning.cutlass_host import STORED, Host
from tests.tuning.cutlass_sample import AMPERE, CHAINS, INT8, REGISTER, kernel
from tuning.operators import Conv2d, Epilogue, Gemm
from tuning.operators.epilogue import ACTIVATIONS
from tuning.templates.cutlass.candidates import blocks_of
from tuning.templates.cutlass.problem import problem_of
from tuning.templates.cutlass.render import call
from tuning.templates.cutlass.render.epilogue import splits

BYTES = {**INT8, "instruction": (16, 8, 32)}
PAIR = REGISTER | {"family": "b2b_gemm"}
KERNELS = [
    *(kernel(AMPERE, epilogue=chain) for chain in CHAINS),
    *(kernel(AMPERE, epilogue=chain, accumulate="float16") for chain in ("none", "bias+gelu")),
    kernel(AMPERE, epilogue="bias+silu", output="float32", align_c=4),
    kernel(AMPERE, epilogue="bias+softplus", element="bfloat16", output="bfloat16"),
    *(kernel(AMPERE, **BYTES, epilogue=chain) for chain in ("none", "relu", "bias+relu")),
    kernel(AMPERE, **BYTES, epilogue="residual+hardswish"),
    kernel(AMPERE, **BYTES | {"output": "float32", "align_c": 4}, epilogue="bias+gelu"),
    *(kernel(AMPERE, **PAIR | {"epilogue0": f"bias+{step}"}) for step in ACTIVATIONS),
    *(kernel(AMPERE, **PAIR | {"epilogue0": chain}) for chain in ("none", "bias", "softplus")),
]
ULP = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895314e38, "float32": 3.4028235e38}
COUNT = 1 << 12


@pytest.fixture(scope="module")
def host():
    need("nvcc")
    return Host(KERNELS)


def floats(array, element):
    if element == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


def stored(array, element):
    if element == "bfloat16":
        return torch.from_numpy(array).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    return array.astype(STORED[element])


def operands(found, element, seed=0):
    """Return sums, bias and residual; among the sums are the values where things go wrong."""
    generator = np.random.default_rng(seed)
    special = [0.0, -0.0, 1e-8, -1e-8, 30.0, -30.0, 200.0, -200.0, 7e4, -7e4, np.inf, -np.inf]
    if found.accumulate == "int32":
        sums = generator.integers(-400, 400, COUNT).astype(np.float64)
        bias = generator.integers(-20, 20, COUNT) / 4.0
        residual = generator.integers(-100, 100, COUNT).astype(np.float64)
    else:
        sums = generator.standard_normal(COUNT) * 4
        sums[: len(special)] = special
        bias, residual = generator.standard_normal((2, COUNT))
        bias[: len(special)] = residual[: len(special)] = 0.0
    with np.errstate(over="ignore"):
        sums = sums.astype(STORED[found.accumulate])
    return sums, stored(bias, "float32" if element is None else element), residual


def wanted(chain, sums, bias, residual, alpha):
    value = torch.from_numpy(sums.astype(np.float64)) * alpha
    for step in Epilogue.parse(chain).steps:
        if step in ("bias", "residual"):
            value = value + torch.from_numpy(bias if step == "bias" else residual)
        else:
            value = getattr(torch.nn.functional, step)(value)
    return value.numpy()


def check(found, expected, element, scale=1.0):
    """Compare with float64: one rounding to the type, and float32 arithmetic before it."""
    if element == "int8":
        near = np.abs(expected - np.floor(expected) - 0.5) < 1e-5  # either neighbour of a tie
        exact = np.clip(np.rint(expected), -128, 127)
        assert np.all((found == exact) | (near & (np.abs(found - expected) <= 0.5 + 1e-5)))
        return
    found = floats(found, element)
    over = np.abs(expected) > LARGEST[element] * (1 - 2 * ULP[element])
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    same |= over & (np.isinf(found) | (np.abs(found) >= LARGEST[element] * (1 - ULP[element])))
    with np.errstate(invalid="ignore"):
        allowed = 4e-6 * scale + (ULP[element] + 4e-6) * np.abs(expected)
        same |= np.abs(found - expected) <= allowed
    assert np.all(same), (found[~same][:5], expected[~same][:5])


@pytest.mark.extensive
@pytest.mark.parametrize("place", range(len(KERNELS)))
def test_an_operator_is_its_chain(host, place):
    own = KERNELS[place]
    alpha = 0.37 if own.element == "int8" else 1.0
    element = "float32" if own.element == "int8" else own.output
    sums, bias, residual = operands(own, element)
    kept = stored(residual, own.output)
    found = host.apply(f"last{place}", sums, bias, kept, alpha)
    expected = wanted(own.epilogue, sums, floats(bias, element), floats(kept, own.output), alpha)
    check(found, expected, own.output, scale=8.0)


@pytest.mark.extensive
@pytest.mark.parametrize("place", [p for p, own in enumerate(KERNELS) if own.is_pair])
def test_what_stands_between_two_products(host, place):
    own = KERNELS[place]
    sums, bias, residual = operands(own, "float32")
    given_bias = bias if own.epilogue0.startswith("bias") else np.zeros_like(bias)
    found = host.apply(f"between{place}", sums, given_bias, stored(residual, own.element))
    expected = wanted(own.epilogue0, sums, floats(given_bias, "float32"), residual, 1.0)
    check(found, expected, own.element, scale=8.0)


@pytest.mark.extensive
@pytest.mark.parametrize(
    "place",
    [
        p
        for p, own in enumerate(KERNELS)
        if own.family == "gemm"
        and own.accumulate == "float32"
        and splits(own)
        and not own.epilogue.endswith("relu")
    ],
)
def test_a_sum_in_two_slices_is_the_sum(host, place):
    """The activation waits for the last slice; bias and residual are added once.

    ReLU is left out: the library makes it wait by a threshold that is no number, which the GPU's
    maximum passes over and the CPU's does not.
    """
    own = KERNELS[place]
    generator = np.random.default_rng(1)
    parts = generator.standard_normal((2, COUNT)).astype(np.float32)
    bias, residual = (stored(array, own.output) for array in generator.standard_normal((2, COUNT)))
    found = host.apply(f"last{place}", parts.reshape(-1), bias, residual, slices=2)
    whole = parts.sum(axis=0, dtype=np.float64)
    told = (floats(bias, own.output), floats(residual, own.output))
    expected = wanted(own.epilogue, whole, *told, 1.0)
    partial = 8 * ULP[own.output] * (np.abs(parts).sum(axis=0) + 2)  # the first slice is rounded
    assert np.all(np.abs(floats(found, own.output) - expected) <= partial)


@pytest.mark.extensive
def test_integers_round_to_even_and_stop_at_the_ends(host):
    place = next(p for p, own in enumerate(KERNELS) if own.output == "int8")
    assert KERNELS[place].epilogue == "none"
    sums = np.arange(-2048, 2048, dtype=np.int32)
    none = np.zeros(sums.size)
    found = host.apply(f"last{place}", sums, none, none, alpha=0.25)
    assert np.array_equal(found, np.clip(np.rint(sums * 0.25), -128, 127).astype(np.int8))


@pytest.mark.extensive
@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.integers(1, 40)] * 5),
    *[st.tuples(*[st.integers(least, 4)] * 2) for least in (1, 1, 0, 1)],
)
def test_extents_of_a_convolution_are_the_operators(host, image, window, stride, around, spread):
    try:
        conv = Conv2d(*image, window, stride, around, spread)
    except ValueError:  # the window is larger than the image
        return
    found = host.extents(call.sizes_of(conv, kernel(AMPERE, family="conv2d")))
    assert found == [conv.out_height, conv.out_width, *conv.as_gemm]


@pytest.mark.extensive
@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.integers(1, 5000)] * 3), st.sampled_from(KERNELS), st.sampled_from([1, 2, 8]))
def test_a_grid_has_the_blocks_that_the_simulator_counts(host, extents, own, slices):
    problem = problem_of(Gemm(*extents))
    if own.is_pair or not splits(own):
        slices = 1
    counted = blocks_of(replace(own, split_k=slices), problem)
    assert host.blocks(extents, own.tile, slices) == counted
