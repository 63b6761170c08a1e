"""Laws of kernels that need no reference, and what they do with special values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.needs import need
from tests.tuning.fuzz_kernels import run_case
from tuning.compile import ObjectCache
from tuning.kernel import Kernel
from tuning.operators import ACTIVATIONS, Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.operators.reference import apply_epilogue, mismatch, random_operands, reference
from tuning.space import Candidate
from tuning.templates.cpu.device import isas
from tuning.templates.cpu.library import CpuTemplates, template_of


def candidate(operator: Operator, isa: str = "", **changed: Any) -> Candidate:
    """Return a candidate of plain choices, some of them changed."""
    compiled = {"isa": isa or isas()[0], "tile_rows": 4, "tile_vectors": 2, "unroll": 4}
    compiled |= {"gather": "direct", "aligned": False}
    runtime = {"block_rows": 32, "block_columns": 64, "block_depth": 1 << 30, "threads": 1}
    runtime |= {"stream": False}
    for name, value in changed.items():
        (compiled if name in compiled else runtime)[name] = value
    return Candidate.of(template_of(operator), compiled, runtime)


def built(operator: Operator, chosen: Candidate) -> Path:
    """Return the object of a candidate."""
    made = ObjectCache().compile([CpuTemplates().render(operator, chosen)])[0]
    assert made.path is not None, made.message
    return made.path


def computed(
    operator: Operator, chosen: Candidate, operands: dict[str, NDArray[Any]]
) -> NDArray[Any]:
    """Return the output of one call."""
    kernel = Kernel(built(operator, chosen), operator, chosen, operands)
    kernel()
    return kernel.output


@pytest.mark.parametrize("isa", isas())
def test_the_identity_gives_the_matrix_back(isa: str) -> None:
    operator = Gemm(37, 53, 53)
    operands = random_operands(operator) | {"b": np.eye(53, dtype=np.float32)}
    assert np.array_equal(computed(operator, candidate(operator, isa), operands), operands["a"])


def test_blocks_and_threads_change_nothing_but_rounding() -> None:
    operator = Conv2d(
        2, 13, 11, 24, 40, (3, 3), (1, 1), (1, 1), epilogue=Epilogue(("bias", "silu"))
    )
    operands = random_operands(operator)
    first = computed(operator, candidate(operator), operands)
    for rows, columns, depth, threads in ((1, 16, 1, 1), (500, 500, 24, 2), (7, 32, 100, 2)):
        chosen = candidate(
            operator,
            block_rows=rows,
            block_columns=columns,
            block_depth=depth,
            threads=threads,
        )
        other = computed(operator, chosen, operands)
        np.testing.assert_allclose(other, first, rtol=2e-5, atol=2e-5)


@pytest.mark.extensive
def test_shared_blocks_give_equal_bits_whatever_the_threads() -> None:
    operator = Gemm(129, 65, 77, epilogue=Epilogue(("gelu",)))
    operands = random_operands(operator)
    one = computed(operator, candidate(operator), operands)
    assert np.array_equal(computed(operator, candidate(operator, threads=2), operands), one)


def test_stores_past_the_caches_give_equal_bits() -> None:
    operator = Gemm(67, 96, 31, epilogue=Epilogue(("bias",)))
    operands = random_operands(operator)
    plain = computed(operator, candidate(operator), operands)
    assert np.array_equal(computed(operator, candidate(operator, stream=True), operands), plain)


@pytest.mark.extensive
@pytest.mark.parametrize("gather", ["direct", "rows", "strips", "padded"])
def test_channels_of_zeros_change_nothing(gather: str) -> None:
    narrow = Conv2d(1, 9, 8, 5, 12, (3, 3), (2, 1), (1, 2), (1, 2))
    wide = Conv2d(1, 9, 8, 8, 12, (3, 3), (2, 1), (1, 2), (1, 2))
    operands = random_operands(narrow)
    padded = {n: np.pad(a, [(0, 0)] * 3 + [(0, 3)]) for n, a in operands.items()}
    small = computed(narrow, candidate(narrow, gather=gather), operands)
    np.testing.assert_allclose(
        computed(wide, candidate(wide, gather=gather), padded), small, rtol=1e-6, atol=1e-6
    )


# paper: bolt b2b fusion
def test_a_pair_equals_its_halves_one_after_the_other() -> None:
    relu = Epilogue(("bias", "relu"))
    first = Conv2d(1, 10, 10, 6, 20, (3, 3), (1, 1), (1, 1), epilogue=relu)
    second = Conv2d(1, 10, 10, 20, 9, (1, 1), epilogue=relu)
    pair = Pair(first, second)
    operands = random_operands(pair)
    middle = computed(first, candidate(first), operands)
    own = {"x": middle, "w": operands["w1"], "bias": operands["bias1"]}
    apart = computed(second, candidate(second), own)
    np.testing.assert_allclose(
        computed(pair, candidate(pair), operands), apart, rtol=1e-6, atol=1e-6
    )


def _through(isa: str, step: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the activation of each value, computed by a 1 x 1 product with 1."""
    operator = Gemm(values.size, 1, 1, epilogue=Epilogue((step,)))
    operands = {"a": values[:, None], "b": np.ones((1, 1), np.float32)}
    return computed(operator, candidate(operator, isa, block_rows=4096), operands)[:, 0]


def _wanted(step: str, values: NDArray[np.float32]) -> NDArray[Any]:
    import torch

    given = torch.from_numpy(values.astype(np.float64))
    return apply_epilogue(Epilogue((step,)), given, None, None).numpy()


# paper: bolt epilogue fusion
@pytest.mark.extensive
@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("step", ACTIVATIONS)
def test_activations_are_accurate_over_the_range(isa: str, step: str) -> None:
    need("torch")
    grid = np.linspace(-100, 100, 40_001, dtype=np.float32)
    small = np.geomspace(1e-38, 1, 500, dtype=np.float32)
    values = np.concatenate([grid, small, -small, np.array([0.0, -0.0], np.float32)])
    wanted = _wanted(step, values)
    error = np.abs(_through(isa, step, values) - wanted)
    assert (error <= 4e-6 * (1 + np.abs(wanted))).all()


@pytest.mark.extensive
@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("step", ACTIVATIONS)
def test_activations_of_special_values_are_pytorchs(isa: str, step: str) -> None:
    need("torch")
    values = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e20, -89, 89, 1e-45], np.float32)
    wanted, found = _wanted(step, values).astype(np.float32), _through(isa, step, values)
    number = ~np.isnan(wanted)
    np.testing.assert_allclose(found[number], wanted[number], rtol=4e-6, atol=4e-6)
    assert np.isnan(found[0])


@pytest.mark.extensive
@pytest.mark.parametrize("gather", ["direct", "rows", "padded"])
def test_nan_and_infinity_reach_what_they_touch_and_nothing_else(gather: str) -> None:
    need("torch")
    operator = Conv2d(1, 12, 12, 8, 20, (3, 3), (1, 1), (1, 1), epilogue=Epilogue(("relu",)))
    operands = random_operands(operator)
    operands["x"][0, 3, 4, 2] = np.nan
    operands["x"][0, 9, 9, 0] = np.inf
    found = computed(operator, candidate(operator, gather=gather), operands)
    wanted = reference(operator, operands)
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    assert np.array_equal(np.isinf(found), np.isinf(wanted))


@pytest.mark.extensive
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_a_small_type_cannot_hold_becomes_infinite(dtype: str) -> None:
    need("torch")
    operator = Gemm(3, 20, 1, epilogue=Epilogue((), dtype))
    operands = {
        "a": np.array([[3e38], [-3e38], [1.0]], np.float32),
        "b": np.full((1, 20), 1.13, np.float32),
    }
    stored = computed(operator, candidate(operator), operands)
    assert mismatch(operator, operands, stored) is None


@pytest.mark.extensive
@pytest.mark.parametrize("gather", ["direct", "rows", "strips"])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_with_a_given_b(gather: str, batch: int) -> None:
    need("torch")
    operator = Gemm(19, 35, 23, batch, False, Epilogue(("bias", "residual")))
    for threads in (1, 2):
        chosen = candidate(operator, gather=gather, threads=threads)
        assert run_case(operator, chosen, built(operator, chosen), batch) is None
