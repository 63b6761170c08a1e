"""Laws of the kernel simulator: roofline, more work, waves, alignment, stages, swizzle."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gpu.kernel import dram_bytes, kernel_time, roofline_s, stream_s
from sim.gpu.kernel_constants import SPREAD, STANDARD, varied
from sim.gpu.kernel_cycles import sector_share, step_cycles, tensor_clock_flops
from sim.gpu.kernel_hardware import KERNEL_GPUS, KernelGpu, kernel_gpu
from sim.gpu.kernel_occupancy import Resources
from sim.gpu.kernel_work import KernelWork
from tests.sim_gpu.kernel_works import GPUS, TILES, gemm, with_extent, works

ANY_GPU = st.sampled_from(GPUS)
CLOSE = 1.0 + 1e-9


@given(works(), ANY_GPU)
def test_no_kernel_beats_the_roofline(work: KernelWork, gpu: KernelGpu) -> None:
    found = kernel_time(work, gpu)
    assert found.seconds >= roofline_s(work, gpu) + STANDARD.launch_s
    peak = tensor_clock_flops(work, gpu) * gpu.sms * gpu.clock_hz
    assert found.sm_s >= work.flops / peak
    assert found.dram_s >= work.least_bytes / gpu.dram_bytes_s
    assert found.seconds >= max(found.sm_s, found.dram_s)


@given(works(), ANY_GPU, st.sampled_from((0, 1, 2)), st.integers(1, 40))
def test_more_work_takes_no_less_time(
    work: KernelWork, gpu: KernelGpu, axis: int, more: int
) -> None:
    extent = work.products[0].extent[axis]
    larger = with_extent(work, axis, extent + 16 * more)
    assert kernel_time(larger, gpu).seconds * CLOSE >= kernel_time(work, gpu).seconds


@given(works(), ANY_GPU)
def test_narrower_accesses_never_help(work: KernelWork, gpu: KernelGpu) -> None:
    times = []
    for access in (16, 8, 4, 2):
        product = replace(work.products[0], access_a=access, access_b=access)
        narrowed = replace(work, products=(product,), access_c=access)
        times.append(kernel_time(narrowed, gpu).seconds)
    assert all(later * CLOSE >= earlier for earlier, later in pairwise(times))


@given(works(), ANY_GPU, st.sampled_from((2, 4, 8, 16)))
def test_rows_that_begin_within_sectors_never_help(
    work: KernelWork, gpu: KernelGpu, odd: int
) -> None:
    product = work.products[0]
    shifted = replace(product, run_a=product.run_a + odd, run_b=product.run_b + odd)
    moved = replace(work, products=(shifted,))
    assert kernel_time(moved, gpu).seconds * CLOSE >= kernel_time(work, gpu).seconds


@given(works(), ANY_GPU)
def test_a_larger_cache_or_faster_memory_never_hurts(work: KernelWork, gpu: KernelGpu) -> None:
    base = kernel_time(work, gpu).seconds
    for better in (
        replace(gpu, l2_bytes=2 * gpu.l2_bytes),
        replace(gpu, dram_bytes_s=2 * gpu.dram_bytes_s),
        replace(gpu, l2_clock_bytes=2 * gpu.l2_clock_bytes),
        replace(gpu, clock_hz=1.5 * gpu.clock_hz),
        replace(gpu, load_lanes=2 * gpu.load_lanes),
    ):
        assert kernel_time(work, better).seconds <= base * CLOSE


@given(works(), ANY_GPU)
def test_dram_moves_every_tensor_at_least_once(work: KernelWork, gpu: KernelGpu) -> None:
    together = kernel_time(work, gpu).resident * gpu.sms
    assert dram_bytes(work, gpu, min(work.blocks, together)) >= work.least_bytes
    huge = replace(gpu, l2_bytes=1 << 40)
    assert dram_bytes(work, huge, min(work.blocks, together)) == work.least_bytes


@pytest.mark.parametrize("gpu", GPUS, ids=lambda g: g.name)
def test_waves_are_quantised(gpu: KernelGpu) -> None:
    """A threadblock beyond a full wave costs most of a wave; one less than full costs nothing."""
    slots = kernel_time(gemm(64, 64, 4096, 2), gpu).resident * gpu.sms

    def seconds(blocks: int) -> float:
        return kernel_time(gemm(64, 64 * blocks, 4096, 2), gpu).sm_s

    one, over, two = seconds(slots), seconds(slots + 1), seconds(2 * slots)
    assert seconds(slots - 1) == pytest.approx(one)
    assert one < over <= two
    assert seconds(2 * slots - 1) == pytest.approx(two)
    per_wave = [seconds(count * slots) for count in (1, 2, 3)]
    assert per_wave[2] - per_wave[1] == pytest.approx(per_wave[1] - per_wave[0])
    assert kernel_time(gemm(64, 64 * slots, 4096, 2), gpu).waves == 1.0


def test_a_full_machine_of_small_blocks_beats_a_few_large_ones_on_small_problems() -> None:
    t4 = kernel_gpu("t4")
    assert (
        kernel_time(gemm(512, 512, 512, 2), t4).seconds
        < kernel_time(gemm(512, 512, 512, 1), t4).seconds
    )
    assert (
        kernel_time(gemm(8192, 8192, 512, 2), t4).seconds
        > kernel_time(gemm(8192, 8192, 512, 1), t4).seconds
    )


def test_splitting_a_deep_product_fills_the_machine_and_a_shallow_one_pays() -> None:
    t4 = kernel_gpu("t4")
    deep, shallow = (gemm(128, 128, k, 2) for k in (8192, 64))
    assert kernel_time(replace(deep, split_k=4), t4).seconds < kernel_time(deep, t4).seconds
    assert kernel_time(replace(shallow, split_k=4), t4).seconds > kernel_time(shallow, t4).seconds


def test_swizzles_spare_memory_where_operands_outgrow_the_cache() -> None:
    t4 = kernel_gpu("t4")
    large, small = gemm(16384, 8192, 512, 0), gemm(512, 512, 512, 0)
    moved = [kernel_time(replace(large, swizzle=s), t4).dram_bytes for s in (1, 2, 4, 8)]
    assert moved[0] > moved[-1]
    assert moved == sorted(moved, reverse=True)
    assert len({kernel_time(replace(small, swizzle=s), t4).dram_bytes for s in (1, 4)}) == 1


def test_more_stages_hide_latency_until_it_is_hidden() -> None:
    a100 = replace(kernel_gpu("a100-80"), l2_clock_bytes=1 << 20)
    work = gemm(64, 64, 4096, 2)
    cycles = [
        step_cycles(replace(work, stages=s, asynchronous=True), work.products[0], a100, 1)
        for s in (2, 3, 4, 8, 12)
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[1]
    assert cycles[-1] == cycles[-2]


def test_hopper_needs_its_own_instruction_for_its_peak() -> None:
    h100 = kernel_gpu("h100")
    work = gemm(4096, 4096, 4096)
    shares = [
        tensor_clock_flops(replace(work, unit=unit), h100) / h100.tensor_flops["float32"]
        for unit in ("mma", "wgmma")
    ]
    assert shares == [0.63, 1.0]


def test_geforce_sums_in_float16_twice_as_fast() -> None:
    """White papers: GA102 and AD102 halve FP16 with FP32 sums; data-centre GPUs do not."""
    for name, ratio in (("rtx3070", 2), ("rtx4090", 2), ("a100-80", 1), ("t4", 1), ("h100", 1)):
        rates = kernel_gpu(name).tensor_flops
        assert rates["float16"] == ratio * rates["float32"]


@given(st.lists(st.floats(0.0, 1e9), min_size=1, max_size=5))
def test_the_smooth_maximum_is_between_maximum_and_sum(values: list[float]) -> None:
    assert max(values) <= STANDARD.smooth_max(*values) * CLOSE
    assert STANDARD.smooth_max(*values) <= sum(values) * CLOSE


@given(st.integers(1, 1000), st.sampled_from((16, 32, 64, 128)))
def test_aligned_sectors_carry_nothing_extra(run: int, piece: int) -> None:
    assert sector_share(32 * run, 32 * piece) == 1.0
    assert 1.0 <= sector_share(run, piece) <= 1.0 + 2 * 32 / piece


def test_sector_share_is_the_mean_over_where_pieces_begin() -> None:
    """By counting: pieces of 64 bytes that begin at multiples of 2 bytes within a sector."""
    touched = [-(-(start + 64) // 32) for start in range(0, 32, 2)]
    assert sector_share(2, 64) == pytest.approx(sum(touched) / len(touched) * 32 / 64)


def test_streaming_takes_its_bytes_and_a_launch() -> None:
    t4 = kernel_gpu("t4")
    assert stream_s(0, t4) == STANDARD.launch_s
    assert stream_s(320e9 * STANDARD.dram_share, t4) == pytest.approx(1.0 + STANDARD.launch_s)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"unit": "fma"}, "unit"),
        ({"stages": 1}, "products"),
        ({"split_k": 0}, "products"),
        ({"batch": -1}, "products"),
        ({"products": ()}, "products"),
        ({"cluster": (0, 1)}, "products"),
    ],
)
def test_what_is_no_work_is_refused(change: dict, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(gemm(64, 64, 64), **change)


def test_blocks_that_fit_nowhere_are_refused_by_name() -> None:
    work = replace(gemm(64, 64, 64), resources=Resources(128, 200, 300_000))
    for gpu in GPUS:
        with pytest.raises(ValueError, match="shared memory"):
            kernel_time(work, gpu)
    with pytest.raises(ValueError, match="gpu"):
        kernel_gpu("gtx480")


def test_tiles_of_these_tests_fit_every_gpu() -> None:
    for place in range(len(TILES)):
        for gpu in KERNEL_GPUS.values():
            assert kernel_time(gemm(64, 64, 64, place), gpu).resident >= 1


@given(works(), ANY_GPU, st.integers(0, 50))
def test_laws_hold_for_other_constants(work: KernelWork, gpu: KernelGpu, seed: int) -> None:
    drawn = varied(np.random.default_rng(seed))
    found = kernel_time(work, gpu, drawn)
    assert found.seconds >= roofline_s(work, gpu) + drawn.launch_s
    larger = with_extent(work, 0, work.products[0].extent[0] + 64)
    assert kernel_time(larger, gpu, drawn).seconds * CLOSE >= found.seconds


def test_constants_are_drawn_around_their_values() -> None:
    many = [varied(np.random.default_rng(seed)) for seed in range(200)]
    for field in fields(STANDARD):
        base = getattr(STANDARD, field.name)
        drawn = [getattr(one, field.name) / base for one in many]
        assert min(drawn) >= 1 / SPREAD
        assert max(drawn) <= SPREAD
        assert max(drawn) / min(drawn) > 1.2
    assert all(one.dram_share <= 1 and one.l2_share <= 1 for one in many)
