"""The CPU's template library: native candidates, the whole space, the analytical model."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.space import Candidate
from tuning.templates.cpu.device import isas
from tuning.templates.cpu.library import CpuTemplates
from tuning.templates.cpu.params import TILES

RELU = Epilogue(("bias", "relu"))
SIZES = st.integers(1, 4096)


@st.composite
def operators(draw: st.DrawFn) -> Operator:
    """A GEMM, a convolution or a pair of either."""
    m, n, k = draw(SIZES), draw(SIZES), draw(SIZES)
    kind = draw(st.sampled_from(("gemm", "given", "conv2d", "pair")))
    if kind == "gemm":
        return Gemm(m, n, k, epilogue=RELU)
    if kind == "given":
        return Gemm(m, n, k, draw(st.integers(1, 64)), False)
    if kind == "pair":
        return Pair(Gemm(m, n, k), Gemm(m, draw(SIZES), n, epilogue=RELU))
    size = draw(st.integers(7, 300))
    kernel, stride = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    return Conv2d(1, size, size, n, k, (kernel, kernel), (stride, stride), (1, 1), epilogue=RELU)


@given(operators(), st.sampled_from(isas()), st.integers(1, 16))
@example(Gemm(1, 120, 4095, epilogue=RELU), "generic", 1)
def test_native_candidates_are_tens_distinct_and_legal(
    operator: Operator, isa: str, threads: int
) -> None:
    library = CpuTemplates(isa, threads)
    found = library.native(operator)
    assert 1 <= len(found) <= 40
    assert len(set(found)) == len(found)
    assert all(library.rejected(operator, one) is None for one in found)
    # Three tiles, two ways of reaching A, and depths that the unrolling divides or does not.
    assert len({one.compiled for one in found}) <= 12


@given(operators(), st.integers(1, 16))
def test_estimates_are_positive_numbers(operator: Operator, threads: int) -> None:
    library = CpuTemplates(threads=threads)
    for one in library.native(operator):
        assert 0 < library.estimate_s(operator, one) < math.inf


@given(operators())
def test_the_model_never_beats_the_peak(operator: Operator) -> None:
    library = CpuTemplates(threads=1)
    for one in library.native(operator):
        assert library.estimate_s(operator, one) >= operator.flops / library.device.flops


def test_more_work_is_estimated_to_take_longer() -> None:
    library = CpuTemplates(threads=1)
    one = library.native(Gemm(512, 512, 512))[0]
    seconds = [library.estimate_s(Gemm(m, 512, 512), one) for m in (64, 128, 512, 2048)]
    assert seconds == sorted(seconds)


def test_the_model_sees_wasted_rows() -> None:
    library = CpuTemplates(threads=1)
    one = library.native(Gemm(96, 256, 512))[0]
    tall = int(one.params["tile_rows"])
    whole = library.estimate_s(Gemm(tall * 8, 256, 512), one) / (tall * 8)
    assert library.estimate_s(Gemm(tall * 8 + 1, 256, 512), one) / (tall * 8 + 1) > whole


def test_native_candidates_use_all_threads_on_large_problems_and_one_on_tiny() -> None:
    library = CpuTemplates(threads=2)
    assert {one.params["threads"] for one in library.native(Gemm(1024, 1024, 1024))} == {2}
    assert {one.params["threads"] for one in library.native(Gemm(16, 16, 16))} == {1}


@pytest.mark.parametrize("isa", isas())
def test_every_tile_fits_the_registers(isa: str) -> None:
    library = CpuTemplates(isa, 1)
    for rows, vectors in TILES[isa]:
        assert rows * vectors + vectors + 1 <= library.device.vector_registers


def test_the_whole_space_holds_the_aligned_variant_only_where_it_computes() -> None:
    library = CpuTemplates(threads=1)
    assert any(one.params["aligned"] for one in library.candidates(Gemm(128, 192, 64)))
    assert not any(one.params["aligned"] for one in library.candidates(Gemm(128, 191, 63)))


def _changed(one: Candidate, **values: int | str | bool) -> Candidate:
    parts = [dict(one.compiled), dict(one.runtime)]
    for part in parts:
        part.update({name: value for name, value in values.items() if name in part})
    return Candidate.of(one.template, *parts)


def test_illegal_candidates_are_rejected_with_the_reason() -> None:
    library, operator = CpuTemplates(threads=1), Gemm(10, 10, 10)
    one = library.native(operator)[0]
    other = dataclasses.replace(one, template="conv2d")
    assert "is a template for conv2d" in str(library.rejected(operator, other))
    for change, reason in (
        ({"isa": "amx"}, "is none of"),
        ({"tile_rows": 30, "tile_vectors": 4}, "none that"),
        ({"aligned": True}, "leaves remainders"),
        ({"gather": "padded"}, "padded image"),
        ({"threads": 0}, "below 1"),
    ):
        assert reason in str(library.rejected(operator, _changed(one, **change)))


def test_unusual_constructions_are_refused() -> None:
    with pytest.raises(ValueError, match="isa: this CPU has"):
        CpuTemplates("amx")
    with pytest.raises(ValueError, match="threads: 0 is not positive"):
        CpuTemplates(threads=0)


HOSTILE = [
    {"tile_rows": -3},
    {"tile_rows": "6"},
    {"tile_rows": "1>; int evil = system(0);"},
    {"tile_rows": True, "tile_vectors": 4},
    {"tile_vectors": 10**30},
    {"unroll": True},
    {"unroll": 2},
    {"unroll": "1\n#include </etc/passwd>"},
    {"gather": "direct, true>; //"},
    {"gather": 0},
    {"isa": "avx512\n"},
    {"isa": 1},
    {"aligned": 0},
    {"aligned": "false"},
    {"stream": 1},
    {"threads": 0},
    {"threads": 10**6},
    {"block_rows": -1},
    {"block_columns": True},
    {"block_depth": 1 << 40},
    {"block_depth": "256"},
]


@pytest.mark.parametrize("values", HOSTILE, ids=str)
def test_hostile_parameters_are_neither_legal_nor_rendered(values) -> None:
    library, operator = CpuTemplates(threads=1), Gemm(64, 64, 64)
    bad = _changed(library.native(operator)[0], **values)
    reason = library.rejected(operator, bad)
    assert reason
    assert "\n" not in reason
    with pytest.raises(ValueError, match=r"^candidate: "):
        library.render(operator, bad)


@pytest.mark.parametrize("name", ["unroll", "extra\n#error"])
def test_parameters_that_are_missing_or_unknown_are_named(name: str) -> None:
    library, operator = CpuTemplates(threads=1), Gemm(64, 64, 64)
    one = library.native(operator)[0]
    compiled = dict(one.compiled) | {name: 1}
    if name in dict(one.compiled):
        del compiled[name]
    bad = Candidate.of(one.template, compiled, dict(one.runtime))
    assert "is missing or unknown" in str(library.rejected(operator, bad))
    with pytest.raises(ValueError, match=name.partition("\n")[0]):
        library.render(operator, bad)


@given(operators(), st.sampled_from(isas()))
def test_whatever_the_library_proposes_can_be_rendered(operator: Operator, isa: str) -> None:
    library = CpuTemplates(isa, 2)
    for one in library.native(operator):
        assert library.render(operator, one).text
