"""Residence of back-to-back kernels, against a second statement of CUTLASS's conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.templates.cutlass.candidates import native, rejected
from tuning.templates.cutlass.params import Family, Kernel
from tuning.templates.cutlass.residence import CONDITIONS, pair_refusal, products_refusal

PROBLEMS = 10_000
EXTENTS = (8, 16, 24, 31, 32, 64, 96, 100, 128, 200, 256)
RELU = Epilogue(("relu",))


def _kernel(luck: np.random.Generator, family: Family) -> Kernel:
    """A structurally sound kernel of either residence, with slabs or without."""
    n0, n1 = (int(luck.choice((32, 64, 128, 256))) for _ in range(2))
    shared = bool(luck.integers(2))
    rows = 64
    if shared:
        warp, warp1 = (
            (rows, n // 4, 32) if n >= 256 else (rows // 2, n // 2, 32) for n in (n0, n1)
        )
    else:
        warp, warp1 = (16, min(n0, 128), 32), (16, min(n1, 128), 32)
        n0, n1 = min(n0, 128), min(n1, 128)
    return Kernel(
        *("sm_80", family, "float16", "float32", "float16", "tn", 8, 8),
        *(int(luck.choice((8, 4))), (rows, n0, 32), warp, (16, 8, 16), 3),
        residence="shared" if shared else "register",
        tile1=(rows, n1, 32),
        warp1=warp1,
    )


def _products(luck: np.random.Generator, convs: bool) -> tuple[Gemm | Conv2d, Gemm | Conv2d]:
    """Two products that mostly fit together, each condition broken now and then."""

    def some() -> int:
        return int(luck.choice(EXTENTS))

    n0, k0, n1 = some(), some(), some()
    k1 = n0 if luck.random() < 0.85 else some()
    if not convs:
        m0 = 8 * int(luck.integers(1, 500)) + int(luck.random() < 0.1)
        m1 = m0 if luck.random() < 0.85 else some()
        return Gemm(m0, n0, k0), Gemm(m1, n1, k1)
    size = int(luck.integers(6, 40))
    first = Conv2d(2, size, size, k0, n0, (3, 3), (1, 1), (1, 1))
    window, stride, padding = (3, 1, 1) if luck.random() < 0.1 else (1, 1, 0)
    stride = 2 if luck.random() < 0.1 else stride
    batch = 2 if luck.random() < 0.9 else 3
    second = Conv2d(
        *(batch, size, size, k1, n1, (window, window), (stride, stride), (padding, padding))
    )
    return first, second


def _stated(kernel: Kernel, first: Gemm | Conv2d, second: Gemm | Conv2d) -> bool:
    """The conditions again, from bolt's section and CUTLASS's README, in one expression each."""
    if isinstance(first, Conv2d) and isinstance(second, Conv2d):
        halo_free = second.kernel == (1, 1) and second.padding == (0, 0) and second.stride == (1, 1)
        m0 = first.batch * first.out_height * first.out_width
        m1 = second.batch * second.out_height * second.out_width
        n0, n1, k1 = first.out_channels, second.out_channels, second.in_channels
        multiples = [(first.in_channels, 8), (second.in_channels, 8), (n0, 8), (n1, 8)]
    else:
        assert isinstance(first, Gemm)
        assert isinstance(second, Gemm)
        halo_free = True
        m0, m1, n0, n1, k1 = first.m, second.m, first.n, second.n, second.k
        multiples = [(e, 8) for e in (m0, m1, n0, n1, first.k, k1)]
    tb0, tb1 = kernel.tile, kernel.tile1
    resident = tb0[0] == tb1[0] and n0 <= tb0[1] and n1 <= tb1[1]
    slabs = kernel.warp[1] == tb0[1] and kernel.warp1[1] == tb1[1]
    return (
        halo_free
        and m0 == m1
        and n0 == k1
        and resident
        and (kernel.residence == "shared" or slabs)
        and all(extent % align == 0 for extent, align in multiples)
    )


@pytest.mark.parametrize("convs", [False, True])
def test_random_pairs_are_accepted_or_refused_as_stated(convs: bool) -> None:
    luck = np.random.default_rng(20_211)
    accepted, reasons = 0, set()
    for _ in range(PROBLEMS // 2):
        kernel = _kernel(luck, "b2b_conv" if convs else "b2b_gemm")
        first, second = _products(luck, convs)
        reason = products_refusal(kernel, first, second)
        assert (reason is None) == _stated(kernel, first, second), (reason, kernel, first, second)
        accepted += reason is None
        if reason is not None:
            reasons.add(reason.split(":")[0])
    assert reasons <= set(CONDITIONS)
    assert len(reasons) >= 4
    assert accepted > PROBLEMS // 40


def _pair(n0: int, n1: int, m: int = 4096, k: int = 64) -> Pair:
    return Pair(Gemm(m, n0, k, epilogue=RELU), Gemm(m, n1, n0, epilogue=RELU))


def test_kernels_of_pairs_hold_all_columns_of_both() -> None:
    for n0, n1 in ((64, 16), (128, 64), (32, 96), (64, 256), (256, 256)):
        found = native(_pair(n0, n1), "sm_80", 108)
        assert found
        for kernel in found:
            assert kernel.tile[1] >= n0
            assert kernel.tile1[1] >= n1
            assert rejected(_pair(n0, n1), kernel) is None


def test_wide_products_leave_only_shared_memory() -> None:
    assert {k.residence for k in native(_pair(64, 64), "sm_80", 108)} == {"register", "shared"}
    assert {k.residence for k in native(_pair(128, 256), "sm_80", 108)} == {"shared"}
    assert native(_pair(64, 264), "sm_80", 108) == []


def test_reference_configurations_of_cutlass_are_sound() -> None:
    """Example 13's tiles: (64, 64) then (64, 128) by slabs, (64, 256) through shared memory."""
    rf = Kernel(
        *("sm_80", "b2b_gemm", "float16", "float32", "float16", "tn", 8, 8, 8),
        *((64, 64, 32), (16, 64, 32), (16, 8, 16), 3),
        residence="register",
        tile1=(64, 128, 32),
        warp1=(16, 128, 32),
    )
    shared = replace(
        rf, residence="shared", warp=(32, 32, 32), tile1=(64, 256, 32), warp1=(64, 64, 32)
    )
    first = Gemm(81920, 64, 576)
    assert products_refusal(rf, first, Gemm(81920, 128, 64)) is None
    assert products_refusal(shared, first, Gemm(81920, 256, 64)) is None
    wide = products_refusal(rf, first, Gemm(81920, 256, 64))
    assert wide is not None
    assert "second product's columns: 256 of 128" in wide
    with pytest.raises(ValueError, match="register-resident warps are as wide"):
        replace(rf, warp=(32, 32, 32))
    with pytest.raises(ValueError, match="tile1"):
        replace(rf, tile1=(128, 128, 32), warp1=(32, 128, 32))


def test_the_papers_unaligned_pair_is_refused_until_it_is_padded() -> None:
    """Table 1's first row, (2464, 1, 4) then (2464, 4, 1): no 16-byte access fits."""
    assert native(_pair(1, 4, 2464, 4), "sm_75", 40) == []
    assert native(_pair(8, 8, 2464, 8), "sm_75", 40)
    assert pair_refusal(Gemm(64, 8, 8), Gemm(32, 8, 8)) == "same rows: 64 and 32"
