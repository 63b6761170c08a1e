"""Races for real: small kernels, compiled and run in a process of their own."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.needs import need
from tuning.compile import ObjectCache
from tuning.decide import Race, RaceError, decide_padding, decide_pair
from tuning.decide.race import clock_source
from tuning.decide.racer import Copy, Waits, filled
from tuning.decide.stages import CopyStage, KernelStage
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.profile import ProfileSettings
from tuning.space import Measurement
from tuning.templates.base import Source
from tuning.templates.cpu.library import CpuTemplates
from tuning.tuner import Tuned

SETTINGS = ProfileSettings(threads=1, warmup=1, samples=6, min_sample_ns=1000, timeout_s=20)
RELU = Epilogue(("bias", "relu"))
CONV = Conv2d(1, 6, 7, 7, 9, padding=(1, 1), epilogue=RELU)
GEMM = Gemm(33, 9, 7)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    need("torch")  # the reference
    return ObjectCache(tmp_path_factory.mktemp("objects"))


@pytest.fixture
def library():
    return CpuTemplates("generic", 1)


def _first(operator, library):
    """Return the library's first guess as if it had been tuned."""
    best = Measurement(library.native(operator)[0], "ok", 1.0, 1.0, 1.0, 1)
    return Tuned(operator, best, 1, 0.0, 0, [(0.0, 1.0)])


class Doctored(CpuTemplates):
    """Templates whose text is changed before it is compiled."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__("generic", 1)
        self.change = (old, new)

    def render(self, operator, candidate):
        source = super().render(operator, candidate)
        changed = source.text.replace(*self.change)
        assert changed != source.text
        return Source(changed, source.compiler, source.flags)


RUN = "triptych_unit::Unit::run(args, dims, blocks, (char*)scratch);"


@pytest.mark.extensive
@pytest.mark.parametrize("threads", [1, 2])
def test_a_pair_of_convolutions_agrees_and_is_timed(objects, threads):
    library = CpuTemplates("generic", threads)
    race = Race(library, replace(SETTINGS, threads=threads), objects)
    second = Conv2d(1, 6, 7, 9, 5, (1, 1), epilogue=RELU)
    found = decide_pair(CONV, second, lambda operator: _first(operator, library), race)
    assert found.ratio is not None, found.reason
    assert found.ratio.rounds == 2 * SETTINGS.samples
    assert min(found.unfused_ns, found.fused_ns, found.first_ns, found.second_ns) > 0


@pytest.mark.extensive
def test_a_pair_of_gemms_in_half_precision_agrees(objects, library):
    first, second = Gemm(33, 9, 7, epilogue=RELU), Gemm(33, 5, 9, epilogue=Epilogue((), "bfloat16"))
    race = Race(library, SETTINGS, objects, launches=1)
    found = decide_pair(first, second, lambda operator: _first(operator, library), race)
    assert found.ratio is not None, found.reason


@pytest.mark.extensive
@pytest.mark.parametrize("operator", [CONV, GEMM], ids=["conv2d", "gemm"])
def test_padding_agrees_and_is_timed(objects, library, operator):
    race = Race(library, replace(SETTINGS, cache="cold"), objects, launches=1)
    found = decide_padding(operator, lambda wanted: _first(wanted, library), race)
    assert found.ratio is not None, found.reason
    assert 0 < found.cost < 1


@pytest.mark.extensive
def test_kernels_that_compute_something_else_are_noticed(objects):
    library = Doctored(RUN, f"{RUN} ((float*)args[2])[dims[1]] += 1.0f;")
    stages = (
        KernelStage(GEMM, library.native(GEMM)[0]),
        CopyStage((33, 8)),
        KernelStage(replace(GEMM, k=8), library.native(GEMM)[0], after=1),
    )
    entrants = {"plain": (0,), "padded": (1, 2)}
    race = Race(library, SETTINGS, objects, launches=1)
    with pytest.raises(RaceError, match=r"numbers differ: plain: at \("):
        race.run(GEMM, stages, entrants, ("plain", "padded"))  # both wrong alike
    race = Race(CpuTemplates("generic", 1), SETTINGS, objects, launches=1)
    race.run(GEMM, stages, entrants, ("plain", "padded"))
    wrong = replace(stages[2], operator=replace(GEMM, k=8, epilogue=Epilogue(("relu",))))
    with pytest.raises(RaceError, match="numbers differ: padded: differs by"):
        race.run(GEMM, (*stages[:2], wrong), entrants, ("plain", "padded"))


@pytest.mark.extensive
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("__builtin_trap();", "the process ended with code -"),
        ("for (volatile int i = 0;; ++i) {}", "took longer than"),
        ("this is no C++", "cannot compile"),
    ],
)
def test_kernels_that_fail_end_in_one_message(objects, body, told, monkeypatch):
    monkeypatch.setattr("tuning.decide.race._STARTING_S", 3.0)
    library = Doctored(RUN, body)
    race = Race(library, replace(SETTINGS, timeout_s=0.1), objects)
    with pytest.raises(RaceError, match=told) as caught:
        race.run(GEMM, [KernelStage(GEMM, library.native(GEMM)[0])], {"one": (0,)}, ("one",))
    assert "\n" not in str(caught.value)


def test_decisions_outlive_a_crash(objects):
    library = Doctored(RUN, "__builtin_trap();")
    race = Race(library, SETTINGS, objects)
    found = decide_padding(GEMM, lambda wanted: _first(wanted, library), race)
    assert not found.pad
    assert found.reason.startswith("not padded: not compared: the process ended")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 2))
@example(40, 3, 4, 2)
def test_copies_keep_what_is_there_and_fill_with_zeros(rows, width, wider, threads):
    made = ObjectCache().compile([clock_source()])[0]
    assert made.path is not None, made.message
    given_rows = np.arange(rows * width, dtype=np.float32).reshape(rows, width) + 1
    copy = Copy(ctypes.CDLL(str(made.path)), given_rows, (rows, wider), threads)
    copy.output.fill(np.nan)
    function, args, dims, blocks, scratch = copy.entry
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)
    kind(function)(args, dims, blocks, scratch)
    keep = min(width, wider)
    assert np.array_equal(copy.output[:, :keep], given_rows[:, :keep])
    assert not copy.output[:, keep:].any()


def test_stages_survive_their_plain_form():
    candidate = CpuTemplates("generic", 1).native(GEMM)[0]
    for kernel in (
        KernelStage(GEMM, candidate),
        KernelStage(Pair(GEMM, Gemm(33, 4, 9)), candidate, 1),
    ):
        assert KernelStage.from_dict(kernel.to_dict("/somewhere.so")) == kernel
    for copy in (CopyStage((3, 4)), CopyStage((3,), 2)):
        assert CopyStage.from_dict(copy.to_dict()) == copy


def test_filling_up_leaves_what_fits_untouched():
    array = np.ones((2, 3), np.float32)
    assert filled(array, (2, 3)) is array
    assert filled(array, (4, 5)).sum() == array.sum()


def test_waiting_only_grows():
    waits = Waits()
    before = waits.total_ns()
    assert 0 <= before <= waits.total_ns()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**12)), max_size=6))
def test_waiting_never_shrinks_when_threads_end(tmp_path_factory, steps):
    tasks = tmp_path_factory.mktemp("tasks")
    waits, before = Waits(tasks), 0
    for step in steps:
        for folder in tasks.iterdir():
            (folder / "schedstat").unlink(missing_ok=True)
        for name, waited_ns in step.items():
            (tasks / name).mkdir(exist_ok=True)
            (tasks / name / "schedstat").write_text(f"5 {waited_ns} 7\n")
        now = waits.total_ns()
        assert now >= before
        assert now >= max(step.values(), default=0)
        before = now


def test_no_launch_is_no_race(objects, library):
    with pytest.raises(ValueError, match="launches: 0 is not positive"):
        Race(library, SETTINGS, objects, launches=0)
