"""CUTLASS kernels as data: what is refused, what a candidate keeps, how much a block takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.space import Candidate
from tuning.templates.cutlass.architecture import ARCHITECTURES, ELEMENT_BITS
from tuning.templates.cutlass.candidates import (
    MOST,
    candidates,
    instances,
    native,
    rejected,
)
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import HALF, Precision, halves, problem_of
from tuning.templates.cutlass.structure import is_simple

RELU = Epilogue(("bias", "relu"))
ARCHES = tuple(ARCHITECTURES)
PLAIN = Kernel(
    *("sm_80", "gemm", "float16", "float32", "float16", "tn", 8, 8, 8),
    *((128, 128, 32), (64, 64, 32), (16, 8, 16), 4),
)
PRECISIONS = (
    HALF,
    Precision("float16", "float16", "float16"),
    Precision("bfloat16", "float32", "bfloat16"),
    Precision("int8", "int32", "int8"),
)


@st.composite
def operators(draw: st.DrawFn) -> Operator:
    """A GEMM, a batch of given matrices, a convolution or a pair of either."""
    sizes = st.integers(1, 3000)
    m, n, k = draw(sizes), draw(sizes), draw(sizes)
    kind = draw(st.sampled_from(("gemm", "given", "conv2d", "pair", "convs")))
    if kind == "gemm":
        return Gemm(m, n, k, epilogue=RELU)
    if kind == "given":
        return Gemm(m, n, k, draw(st.integers(1, 16)), False)
    narrow = st.sampled_from((1, 8, 24, 32, 64, 100, 128, 256, 300))
    if kind == "pair":
        middle = draw(narrow)
        return Pair(Gemm(m, middle, k), Gemm(m, draw(narrow), middle, epilogue=RELU))
    size, window = draw(st.integers(7, 60)), draw(st.integers(1, 5))
    stride = draw(st.integers(1, 2))
    shape = (window, window), (stride, stride), (1, 1)
    if kind == "conv2d":
        return Conv2d(2, size, size, draw(narrow), n, *shape, epilogue=RELU)
    first = Conv2d(2, size, size, draw(narrow), draw(narrow), *shape, epilogue=RELU)
    rows, columns = first.out_height, first.out_width
    second = Conv2d(2, rows, columns, first.out_channels, draw(narrow), (1, 1))
    return Pair(first, second)


@given(operators(), st.sampled_from(ARCHES), st.sampled_from(PRECISIONS))
def test_native_candidates_are_tens_distinct_and_legal(
    operator: Operator, arch: str, precision: Precision
) -> None:
    found = native(operator, arch, 108, precision)
    assert len(found) <= MOST
    assert len(set(found)) == len(found)
    assert all(rejected(operator, kernel) is None for kernel in found)
    assert all(Kernel.from_candidate(kernel.to_candidate()) == kernel for kernel in found)
    everything = set(candidates(operator, arch, precision))
    assert set(found) <= everything


@given(operators(), st.sampled_from(ARCHES))
def test_accesses_are_the_widest_that_divide_what_lies_side_by_side(
    operator: Operator, arch: str
) -> None:
    for kernel in native(operator, arch, 108):
        problem = problem_of(halves(operator)[0])
        for run, align in ((problem.run_a, kernel.align_a), (problem.run_b, kernel.align_b)):
            assert run % align == 0
            assert align == 8 or run % (2 * align)


@given(st.integers(1, 4000))
def test_rows_need_no_alignment(m: int) -> None:
    """Upstream refuses a GEMM whose rows do not divide by 8, though rows are never contiguous."""
    assert all(kernel.align_a == 8 for kernel in native(Gemm(m, 64, 64), "sm_80", 108))


def test_numbers_of_sample_programs_are_those_of_the_upstream_generator() -> None:
    assert len(instances("sm_75")) == 7
    assert len(instances("sm_80")) == 29
    assert len(instances("sm_75", aligns=(8, 4, 2, 1))) == 28
    assert len(instances("sm_80", aligns=(8, 4, 2, 1))) == 94


def test_every_architecture_has_tens_and_shared_memory_decides() -> None:
    for arch in ARCHES:
        found = instances(arch)
        assert 5 <= len(found) <= MOST
        limit = ARCHITECTURES[arch].block_shared_bytes
        assert all(kernel.shared_bytes <= limit for kernel in found)
    assert {k.tile for k in instances("sm_86")} < {k.tile for k in instances("sm_80")}


def test_odd_depths_are_left_to_kernels_without_asynchronous_copies() -> None:
    for kernel in native(Gemm(512, 512, 511), "sm_80", 108):
        assert kernel.stages == 2
        assert kernel.align_a == 1
    assert native(Gemm(512, 512, 511), "sm_90a", 132) == []


def test_chains_beyond_a_linear_combination_are_neither_split_nor_back_to_back() -> None:
    residual = Epilogue(("bias", "residual", "relu"))
    found = native(Gemm(128, 128, 8192, epilogue=residual), "sm_80", 108)
    assert {k.split_k for k in found} == {1}
    chained = Pair(Gemm(4096, 64, 64, epilogue=residual), Gemm(4096, 64, 64))
    assert native(chained, "sm_80", 108) == []
    assert is_simple("none")
    assert is_simple("residual+relu")
    assert not is_simple("residual+relu", with_residual=False)
    assert not is_simple("relu+relu")


def test_small_problems_get_small_blocks_first_and_large_ones_large() -> None:
    small, large = (native(Gemm(m, m, 1024), "sm_80", 108)[0] for m in (256, 8192))
    assert small.tile[0] * small.tile[1] < large.tile[0] * large.tile[1]
    assert large.warp[:2] == (64, 64)


def test_swizzles_and_splits_are_tried_where_they_can_help() -> None:
    deep = native(Gemm(128, 128, 8192), "sm_80", 108)
    assert {k.split_k for k in deep} > {1}
    assert {k.swizzle for k in deep} > {1}
    assert {k.split_k for k in native(Gemm(8192, 8192, 512), "sm_80", 108)} == {1}
    tail = native(Gemm(2048, 2048, 2048), "sm_80", 108)  # 128 large tiles: 1.2 waves
    assert {k.split_k for k in tail} > {1}
    assert {k.split_k for k in native(Conv2d(8, 28, 28, 64, 64), "sm_80", 108)} == {1}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"arch": "sm_70"}, "arch"),
        ({"arch": "sm_75"}, "instruction"),
        ({"family": "conv3d"}, "family"),
        ({"element": "float64"}, "element"),
        ({"accumulate": "int32"}, "accumulate"),
        ({"output": "int8"}, "output"),
        ({"layout": "nn"}, "layout"),
        ({"warp": (48, 64, 32)}, "warp"),
        ({"warp": (0, 64, 32)}, "warp"),
        ({"warp": (128, 64, 32)}, "warp"),
        ({"warp": (16, 16, 16), "tile": (256, 256, 32)}, "warp"),
        ({"stages": 1}, "stages"),
        ({"stages": 12}, "stages"),
        ({"stages": True}, "stages"),
        ({"align_a": 3}, "align_a"),
        ({"align_a": 16}, "align_a"),
        ({"align_b": 1}, "align_b"),
        ({"swizzle": 3}, "swizzle"),
        ({"split_k": 0}, "split_k"),
        ({"cluster": (2, 1, 1)}, "schedule"),
        ({"schedule": "pingpong"}, "schedule"),
        ({"epilogue": "bias+tanh"}, "tanh"),
        ({"epilogue": "bias>float16"}, "epilogue"),
        ({"residence": "register"}, "residence"),
        ({"tile": (128, 128)}, "tile"),
        ({"tile": "128x128x32"}, "tile"),
        ({"family": "b2b_gemm"}, "residence"),
        ({"epilogue0": "relu"}, "residence"),
        ({"epilogue": "bias+residual+relu", "split_k": 2}, "split_k"),
        ({"epilogue": "relu+bias", "split_k": 2}, "split_k"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(change: dict, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(PLAIN, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"tile": "128x128"},
        {"tile": "128x128x3²"},
        {"tile": "-1x128x32"},
        {"tile": 128},
        {"stages": "4"},
        {"arch": 80},
        {"serial": True},
        {"strange": 1},
        {"split_k": 2},
    ],
)
def test_foreign_candidates_are_refused(change: dict) -> None:
    whole = PLAIN.to_candidate()
    values = dict(whole.compiled) | {"split_k": 1} | change
    runtime = {"split_k": values.pop("split_k")}
    with pytest.raises(
        ValueError, match=next(iter(change)) if "split_k" not in change else "serial"
    ):
        Kernel.from_candidate(Candidate.of("gemm", values, runtime))
    with pytest.raises(ValueError, match="template"):
        Kernel.from_candidate(replace(whole, template="conv2d"))


def test_shared_memory_is_that_of_the_tiles_in_flight() -> None:
    """(128 + 128) x 32 x 2 bytes x 4 stages: the formula of the templates' documentation."""
    assert PLAIN.shared_bytes == 65_536
    assert (PLAIN.threads, PLAIN.warps, PLAIN.accumulators) == (128, 4, 128)
    assert replace(PLAIN, accumulate="float16").accumulators == 64


@given(st.sampled_from(ARCHES), st.sampled_from(PRECISIONS))
def test_stages_cost_shared_memory_and_elements_their_size(arch: str, types: Precision) -> None:
    wide = 128 // ELEMENT_BITS[types.element]
    for kernel in instances(arch, types, aligns=(wide,)):
        if kernel.stages > 2:
            fewer = replace(kernel, stages=kernel.stages - 1)
            assert fewer.shared_bytes < kernel.shared_bytes
        per_stage = (kernel.tile[0] + kernel.tile[1]) * kernel.tile[2]
        per_stage *= ELEMENT_BITS[types.element] // 8
        assert kernel.shared_bytes % per_stage == 0
