"""Decisions on pairs and padding, with a tuner and a race that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuning.decisions import FakeRace, FakeTuner
from tuning.decide import RaceError, decide_padding, decide_pair
from tuning.decide.stages import CopyStage, KernelStage
from tuning.decide.widths import paddings
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.profile import NothingMeasuredError

RELU = Epilogue(("bias", "relu"))
FIRST, SECOND = Gemm(100, 16, 32, epilogue=RELU), Gemm(100, 8, 16, epilogue=RELU)
CONV = Conv2d(2, 20, 26, 46, 32, padding=(1, 1))
FASTER = {"unfused": [2.0] * 9, "fused": [1.0] * 9}


# paper: bolt b2b fusion
def test_a_faster_pair_is_fused():
    tuner = FakeTuner()
    found = decide_pair(FIRST, SECOND, tuner, FakeRace(FASTER))
    assert found.fuse
    assert (found.unfused_ns, found.fused_ns, found.gain) == (2.0, 1.0, 2.0)
    assert found.fused is not None
    assert found.fused.operator == Pair(FIRST, SECOND)
    assert tuner.asked == [FIRST, SECOND, Pair(FIRST, SECOND)]


@pytest.mark.parametrize(
    ("race", "told"),
    [
        (FakeRace({"unfused": [1.0] * 9, "fused": [2.0] * 9}), "not fused: slower"),
        (FakeRace({"unfused": [1.0, 3.0] * 9, "fused": [2.0] * 18}), "not fused: no difference"),
        (FakeRace(FASTER, disturbed=0.6), "not fused: the machine was too busy"),
        (FakeRace(RaceError("it crashed")), "not fused: not compared: it crashed"),
    ],
)
def test_a_pair_is_not_fused_without_proof(race, told):
    found = decide_pair(FIRST, SECOND, FakeTuner(), race)
    assert not found.fuse
    assert found.reason.startswith(told)


def test_the_fused_kernel_competes_with_both_run_back_to_back():
    race = FakeRace(FASTER)
    decide_pair(FIRST, SECOND, FakeTuner(), race)
    ((base, stages, entrants, equal),) = race.runs
    assert base == Pair(FIRST, SECOND)
    assert entrants["unfused"] == [0, 1]
    assert entrants["fused"] == [2]
    assert set(equal) == {"unfused", "fused"}
    first, second, fused = stages
    assert isinstance(first, KernelStage)
    assert isinstance(second, KernelStage)
    assert isinstance(fused, KernelStage)
    assert (first.after, second.after, fused.after) == (None, 0, None)


@pytest.mark.parametrize(
    "second",
    [
        Gemm(100, 8, 17),  # depth is not the first's width
        Gemm(99, 8, 16),  # other rows
        Gemm(100, 8, 16, constant_b=False),
        Conv2d(1, 10, 10, 16, 8, (1, 1)),
    ],
)
def test_what_does_not_fit_is_not_raced(second):
    race, tuner = FakeRace(FASTER), FakeTuner()
    found = decide_pair(FIRST, second, tuner, race)
    assert not found.fuse
    assert found.fused is None
    assert "cannot be" in found.reason
    assert race.runs == []
    assert found.gain == 1.0
    assert tuner.asked == [FIRST, second]


@pytest.mark.parametrize(
    "second",
    [
        Conv2d(2, 20, 26, 32, 64, (3, 3), padding=(1, 1)),
        Conv2d(2, 20, 26, 32, 64, (1, 1), stride=(2, 2)),
        Conv2d(2, 20, 26, 32, 64, (1, 1), padding=(1, 1)),
    ],
)
def test_only_a_pointwise_convolution_follows(second):
    assert not decide_pair(CONV, second, FakeTuner(), FakeRace(FASTER)).fuse


def test_a_first_that_is_converted_is_not_fused():
    first = replace(FIRST, epilogue=Epilogue(("relu",), "float16"))
    assert "float32" in decide_pair(first, SECOND, FakeTuner(), FakeRace(FASTER)).reason


def test_without_a_back_to_back_kernel_nothing_is_fused():
    tuner = FakeTuner(missing=[Pair(FIRST, SECOND)])
    found = decide_pair(FIRST, SECOND, tuner, FakeRace(FASTER))
    assert (found.fuse, found.fused) == (False, None)
    assert "nothing measured" in found.reason


def test_an_operator_without_any_kernel_is_an_error():
    with pytest.raises(NothingMeasuredError):
        decide_pair(FIRST, SECOND, FakeTuner(missing=[SECOND]), FakeRace(FASTER))
    with pytest.raises(NothingMeasuredError):
        decide_padding(CONV, FakeTuner(missing=[CONV]), FakeRace(FASTER))


# paper: bolt padding
def test_padding_counts_its_copy():
    times = {"plain": [3.0] * 9, "padded 0": [2.0] * 9, "copy 0": [0.5] * 9, "kernel 0": [1.5] * 9}
    race = FakeRace(times)
    found = decide_padding(CONV, FakeTuner(), race)
    assert found.pad
    assert found.gain == 1.5
    assert found.cost == 0.25
    assert found.padding is not None
    assert found.padding.text() == "IC 46 to 48"
    ((_, stages, entrants, equal),) = race.runs
    assert entrants["plain"] == [0]
    assert entrants["padded 0"] == [1, 2]
    assert stages[1] == CopyStage((2, 20, 26, 48))
    assert isinstance(stages[2], KernelStage)
    assert stages[2].after == 1
    assert equal == ["plain", "padded 0"]


def test_padding_that_does_not_pay_is_not_done():
    times = {"plain": [3.0] * 9, "padded 0": [3.1] * 9}
    found = decide_padding(CONV, FakeTuner(), FakeRace(times))
    assert not found.pad
    assert found.reason.startswith("not padded: slower")
    busy = FakeRace({"plain": [3.0] * 9, "padded 0": [2.0] * 9}, disturbed=0.9)
    assert not decide_padding(CONV, FakeTuner(), busy).pad
    failed = decide_padding(CONV, FakeTuner(), FakeRace(RaceError("hung")))
    assert (failed.pad, failed.ratio, failed.cost) == (False, None, 0.0)


@pytest.mark.parametrize(
    "operator", [Conv2d(1, 8, 8, 64, 64), Gemm(10, 64, 128), Gemm(10, 63, 127, constant_b=False)]
)
def test_what_is_aligned_or_given_at_run_time_is_not_padded(operator):
    race = FakeRace(FASTER)
    found = decide_padding(operator, FakeTuner(), race)
    assert (found.pad, found.padded) == (False, None)
    assert "nothing to pad" in found.reason
    assert race.runs == []


def test_a_padded_operator_without_kernels_is_passed_over():
    (padding, *others) = paddings(CONV, 4)
    assert not others
    found = decide_padding(CONV, FakeTuner(missing=[padding.padded]), FakeRace(FASTER))
    assert not found.pad


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([4, 8, 16]),
    st.sampled_from([Epilogue(), RELU, Epilogue(("residual",)), Epilogue((), "float16")]),
)
def test_paddings_only_widen_little_and_only_what_can_be(ins, outs, lanes, epilogue):
    for operator in (
        Conv2d(1, 9, 9, ins, outs, epilogue=epilogue),
        Gemm(5, outs, ins, epilogue=epilogue),
    ):
        found = paddings(operator, lanes)
        assert len({p.padded for p in found}) == len(found)
        for padding in found:
            assert padding.padded != operator
            assert operator.flops < padding.padded.flops <= 1.5 * operator.flops
            if epilogue.has_residual or epilogue.out_dtype != "float32":
                assert not padding.widens_output
            copies = [
                s
                for s in padding.stages(FakeTuner()(operator).best.candidate, 3)
                if isinstance(s, CopyStage)
            ]
            assert len(copies) == padding.widens_input + padding.widens_output
            if padding.widens_output:
                assert copies[-1].shape == operator.operands()[-1].shape
            if padding.widens_input:
                assert copies[0].shape == padding.padded.operands()[0].shape
