"""Choices on simulated GPUs: fusion, pairs, padding, whole networks."""

from __future__ import annotations

import pytest

from sim.gpu.kernel_constants import STANDARD
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.simulated.choices import (
    choose_padding,
    choose_pair,
    padded_pair,
    unfused_s,
    with_activation,
)
from tuning.simulated.cuda_cores import cuda_core_s
from tuning.simulated.network import network_time
from tuning.simulated.published import PUBLISHED
from tuning.simulated.setting import NoKernelError, best, natives, setting, timed, whole
from tuning.templates.cutlass.problem import Precision

RELU = Epilogue(("relu",))
GEMM = Gemm(1280, 3072, 768, epilogue=Epilogue(("bias", "relu")))
GPUS = ("t4", "a100-80", "rtx3070", "rtx4090", "h100", "h200")


@pytest.mark.parametrize("gpu", GPUS)
def test_fused_epilogues_and_tensor_cores_pay_on_every_gpu(gpu: str) -> None:
    where = setting(gpu)
    ours = best(GEMM, where).seconds
    assert unfused_s(GEMM, where) > ours
    assert cuda_core_s(GEMM, where) > ours
    assert GEMM.flops / ours < where.gpu.peak_flops("float32")


@pytest.mark.parametrize("gpu", ["t4", "a100-80", "h200"])
@pytest.mark.parametrize("shape", [(1280, 768, 3072), (2048, 2048, 2048), (128, 768, 3072)])
def test_the_tens_lose_little_against_the_whole_space(
    gpu: str, shape: tuple[int, int, int]
) -> None:
    where, operator = setting(gpu), Gemm(*shape)
    exhaustive = timed(operator, whole(operator, where), where)
    assert len(exhaustive) > len(natives(operator, where))
    assert 1.0 <= best(operator, where).seconds / exhaustive[0].seconds < 1.1


def test_faster_gpus_are_faster_and_hopper_uses_its_own_kernels() -> None:
    times = {gpu: best(Gemm(4096, 4096, 4096), setting(gpu)) for gpu in GPUS}
    order = ("t4", "a100-80", "h100")
    seconds = [times[gpu].seconds for gpu in order]
    assert seconds == sorted(seconds, reverse=True)
    assert times["h200"].seconds <= times["h100"].seconds
    assert times["h200"].kernel.arch == "sm_90a"


def test_seeds_draw_constants_and_seed_0_does_not() -> None:
    assert setting("t4").constants == STANDARD
    drawn = [setting("t4", seed=seed).constants for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(ValueError, match="gpu"):
        setting("k80")


def test_memory_bound_pairs_gain_and_deep_ones_with_few_rows_lose() -> None:
    t4 = setting("t4")
    gains = choose_pair(
        Gemm(128320, 32, 96, epilogue=RELU), Gemm(128320, 96, 32, epilogue=RELU), t4
    )
    loses = choose_pair(
        Gemm(1024, 128, 4096, epilogue=RELU), Gemm(1024, 128, 128, epilogue=RELU), t4
    )
    assert gains.fused
    assert loses.fused_s is not None
    assert not loses.fused
    wide = choose_pair(Gemm(4096, 512, 64), Gemm(4096, 64, 512), t4)
    assert wide.fused_s is None
    assert not wide.fused


def test_unaligned_pairs_are_padded_and_still_chain() -> None:
    t4 = setting("t4")
    one, two = padded_pair(Gemm(2464, 1, 4), Gemm(2464, 4, 1), t4)
    assert (one, two) == (Gemm(2464, 8, 8), Gemm(2464, 8, 8))
    assert choose_pair(Gemm(2464, 1, 4), Gemm(2464, 4, 1), t4).padded
    assert not choose_pair(Gemm(2464, 8, 8), Gemm(2464, 8, 8), t4).padded


def test_padding_speeds_up_the_kernel_and_costs_a_copy() -> None:
    t4 = setting("t4")
    found = choose_padding(Conv2d(32, 20, 26, 46, 32, (5, 5), (1, 1), (2, 2)), t4)
    assert found.access == 2
    assert found.plain_s is not None
    assert found.padded_s < found.plain_s
    assert found.pad_s > 0
    assert found.seconds == min(found.plain_s, found.padded_s + found.pad_s)
    aligned = choose_padding(Conv2d(32, 20, 26, 48, 32, (5, 5), (1, 1), (2, 2)), t4)
    assert aligned.access == 8
    assert aligned.pad_s == 0
    assert not aligned.padded


def test_what_no_template_computes_is_refused_or_padded() -> None:
    eight = setting("a100-80", Precision("int8", "int32", "int8"))
    given = Gemm(64, 64, 64, 4, False)
    with pytest.raises(NoKernelError, match="no kernel"):
        best(given, eight)
    odd = Conv2d(1, 14, 14, 7, 8)
    bf16 = setting("a100-80", Precision("bfloat16", "float32", "bfloat16"))
    assert choose_padding(odd, bf16).plain_s is None
    assert choose_padding(odd, bf16).padded
    with pytest.raises(NoKernelError):
        best(GEMM, setting("t4", Precision("bfloat16", "float32", "bfloat16")))


def test_a_network_is_the_sum_of_its_layers_less_what_pairs_save() -> None:
    t4 = setting("t4")
    three = Conv2d(8, 56, 56, 64, 64, (3, 3), (1, 1), (1, 1), epilogue=RELU)
    one = Conv2d(8, 56, 56, 64, 64, (1, 1), epilogue=RELU)
    dense = Gemm(8, 1000, 512, epilogue=Epilogue(("bias",)))
    alone = network_time([(three, 2), (dense, 1)], t4)
    assert alone.seconds == pytest.approx(2 * best(three, t4).seconds + best(dense, t4).seconds)
    assert alone.pairs_fused == 0
    deep = network_time([(three, 2), (one, 2), (dense, 1)], t4)
    pair = choose_pair(three, one, t4)
    assert pair.fused
    assert deep.pairs_fused == 2
    assert deep.apart_s - deep.seconds == pytest.approx(2 * (pair.apart_s - (pair.fused_s or 0)))
    assert deep.unfused_s > deep.apart_s
    with pytest.raises(TypeError, match="no single product"):
        network_time([(Pair(three, one), 1)], t4)


def test_published_fusion_gains_are_met_and_absolute_times_within_three() -> None:
    """Ratios on one GPU are what the model is for; a poster's clocks it cannot know."""
    for kind in ("pair", "pair-int8"):
        apart, fused = (PUBLISHED[f"t4-{kind}-{way}"] for way in ("apart", "fused"))
        measured = apart.milliseconds / fused.milliseconds
        assert apart.simulated_ms() / fused.simulated_ms() == pytest.approx(measured, rel=0.1)
    for name, found in PUBLISHED.items():
        assert 1 / 3 < found.simulated_ms() / found.milliseconds < 1.5, name


def test_activations_are_swapped_whole() -> None:
    assert with_activation(GEMM, "gelu").epilogue.steps == ("bias", "gelu")
