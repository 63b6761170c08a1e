"""Vendors equal the reference; a contest survives every entrant; ratios of paired rounds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.setup.programs import run_program
from tests.needs import need
from tuning.compile import ObjectCache
from tuning.operators import ACTIVATIONS, Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.operators.reference import mismatch, random_operands
from tuning.profile import ProfileSettings
from tuning.rivals import VENDORS, Entrant, Timing, contest, fastest, paired_ratio, thread_variables
from tuning.rivals.base import Prepared, halves
from tuning.rivals.onednn_vendor import Fused
from tuning.rivals.process import EntrantLostError, EntrantProcess
from tuning.rivals.timing import ratio_of_medians
from tuning.rivals.worker import sampler
from tuning.templates.cpu.library import CpuTemplates

STEPS = ("bias", "residual", *ACTIVATIONS)
QUICK = ProfileSettings(threads=1, warmup=1, samples=3, min_sample_ns=10_000, timeout_s=60.0)


@st.composite
def epilogues(draw: st.DrawFn) -> Epilogue:
    """Chains in any order, so that what a library cannot fuse must be done apart."""
    steps = draw(st.lists(st.sampled_from(STEPS), max_size=4))
    once = [s for i, s in enumerate(steps) if s in ACTIVATIONS or s not in steps[:i]]
    return Epilogue(tuple(once), draw(st.sampled_from(("float32", "float16", "bfloat16"))))


@st.composite
def operators(draw: st.DrawFn) -> Operator:
    """Small products, convolutions and pairs."""
    size = st.integers(1, 24)
    epilogue, first = draw(epilogues()), Epilogue(("bias", "relu"))
    kind = draw(st.sampled_from(("gemm", "batched", "conv", "gemms", "convs")))
    if kind in ("gemm", "batched"):
        batch = 1 if kind == "gemm" else draw(st.integers(2, 3))
        m, n, k = draw(size), draw(size), draw(size)
        return Gemm(m, n, k, batch, draw(st.booleans()), epilogue)
    if kind == "gemms":
        m, n, k, last = draw(size), draw(size), draw(size), draw(size)
        return Pair(Gemm(m, n, k, epilogue=first), Gemm(m, last, n, epilogue=epilogue))
    window = st.tuples(st.integers(1, 3), st.integers(1, 3))
    shape = (draw(st.integers(1, 2)), draw(st.integers(6, 9)), draw(st.integers(6, 9)))
    made = Conv2d(
        *(*shape, draw(size), draw(size)),
        kernel=draw(window),
        stride=draw(window),
        padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        dilation=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        epilogue=epilogue if kind == "conv" else first,
    )
    if kind == "conv":
        return made
    image = (made.batch, made.out_height, made.out_width, made.out_channels)
    return Pair(made, Conv2d(*image, draw(size), (1, 1), epilogue=epilogue))


@pytest.mark.parametrize("name", VENDORS)
@given(operator=operators())
@settings(max_examples=40, deadline=None)
def test_a_vendor_equals_the_reference_or_says_why_not(name, operator):
    need("torch")
    vendor = VENDORS[name]()
    operands = random_operands(operator)
    kept = {key: array.copy() for key, array in operands.items()}
    if reason := vendor.supports(operator):
        assert len(reason) > 10
        return
    prepared = vendor.prepare(operator, operands, 1)
    for _ in range(2):  # the second call must not build on the first one's output
        prepared.run()
    assert mismatch(operator, operands, prepared.output()) is None
    assert all((operands[key] == kept[key]).all() for key in kept)


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_names_its_version(name):
    need("torch")
    assert any(character.isdigit() for character in VENDORS[name]().version())


@given(operator=operators())
@settings(deadline=None)
def test_halves_hold_every_operand_once(operator):
    operands = {o.name: o for o in operator.operands()[:-1]}
    parts = halves(operator, operands)  # type of the values does not matter to it
    assert sum(len(given) for _, given in parts) == len(operands)
    for half, given_ in parts[:1]:
        assert {o.name for o in half.operands()[:-1]} == set(given_)


@given(epilogue=epilogues(), product=st.booleans())
def test_what_is_fused_is_the_beginning_of_the_chain(epilogue, product):
    half = Gemm(2, 2, 2, epilogue=epilogue) if product else Conv2d(1, 3, 3, 1, 1, epilogue=epilogue)
    fused = Fused.of(half)
    wanted = ["bias"] * fused.bias + ["residual"] * fused.residual
    wanted += [fused.unary] if fused.unary else []
    assert list(epilogue.steps[: fused.count]) == wanted


def test_threads_are_positive():
    variables = thread_variables(2)
    assert int(variables.pop("TVM_THREAD_POOL_SPIN_COUNT")) < 300_000
    assert set(variables.values()) == {"2"}
    with pytest.raises(ValueError, match="threads: 0"):
        thread_variables(0)


@given(times=st.lists(st.floats(1.0, 1e9), min_size=1, max_size=40), by=st.floats(0.1, 10.0))
def test_ratio_of_what_is_slower_by_a_factor_is_the_factor(times, by):
    fast, slow = Timing.of("fast", times), Timing.of("slow", [t * by for t in times])
    found = paired_ratio(slow, fast)
    assert found.low <= found.high
    assert (found.low, found.value, found.high) == pytest.approx((by, by, by))
    assert fast.low_ns <= fast.median_ns <= fast.high_ns


def test_ratio_needs_the_same_rounds():
    with pytest.raises(ValueError, match="same rounds"):
        paired_ratio(Timing.of("a", [1.0, 2.0]), Timing.of("b", [1.0]))
    lost = Timing("b", status="crashed")
    with pytest.raises(ValueError, match="same rounds"):
        paired_ratio(lost, lost)


def test_a_ratio_of_medians_needs_no_pairs_and_narrows_with_samples() -> None:
    luck = np.random.default_rng(0)
    widths = []
    for count in (20, 2000):
        slow = Timing.of("slow", luck.normal(20.0, 1.0, count))
        fast = Timing.of("fast", luck.normal(10.0, 0.5, count // 2))
        found = ratio_of_medians(slow, fast)
        assert found.low < found.value < found.high
        assert found.low < 2.0 < found.high
        widths.append(found.high - found.low)
        assert ratio_of_medians(slow, slow).value == 1.0
    assert widths[1] < widths[0] / 3


def test_fastest_passes_over_those_without_a_time():
    assert fastest([Timing("a", status="wrong"), Timing.of("b", [2.0])]) == Timing.of("b", [2.0])
    assert fastest([Timing("a", status="wrong")]) is None


def test_an_entrant_comes_back_from_plain_values(tmp_path):
    native = CpuTemplates(threads=1).native(Gemm(8, 8, 8))[0]
    made = [Entrant.vendor("numpy"), Entrant.tvm(tmp_path), Entrant.templates(tmp_path, native)]
    assert [Entrant.from_dict(entrant.to_dict()) for entrant in made] == made


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("cublas", "vendor"), "name"),
        (("ours", "templates"), "path"),
        (("x", "oracle"), "kind"),
        (("x", "tvm"), "path"),
    ],
)
def test_an_impossible_entrant_names_the_field(arguments, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        Entrant(*arguments)


@pytest.mark.parametrize("pause_ns", [0, 200_000])
def test_a_warm_sample_is_per_call(pause_ns):
    calls: list[None] = []

    def run() -> None:
        end = time.perf_counter_ns() + pause_ns
        while time.perf_counter_ns() < end:
            pass
        calls.append(None)

    prepared = Prepared(run, lambda: np.zeros(1), "")
    profile = ProfileSettings(1, warmup=3, min_sample_ns=1_000_000)
    sample = sampler(prepared, profile, None)
    assert len(calls) >= 4
    assert sample() >= pause_ns


def test_a_cold_sample_is_one_call_after_an_eviction():
    told: list[str] = []
    prepared = Prepared(lambda: told.append("call"), lambda: np.zeros(1), "")
    profile = ProfileSettings(1, warmup=0, min_sample_ns=0, cache="cold")
    sample = sampler(prepared, profile, lambda: told.append("evict"))
    told.clear()
    assert sample() > 0
    assert sample() > 0
    assert told == ["evict", "call"] * 2


def _process(code: str) -> EntrantProcess:
    return EntrantProcess(1, (sys.executable, "-c", code))


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("print('not json', flush=True); input()", "crashed", "no message"),
        ("print('[1]', flush=True); input()", "crashed", "no message"),
        ("print('{' * 2_000_000, end='', flush=True); input()", "crashed", "endless"),
        ("import os; os.kill(os.getpid(), 11)", "crashed", "SIGSEGV"),
        ("raise SystemExit('out of luck')", "crashed", "exit code 1: out of luck"),
        ("import time; time.sleep(60)", "timeout", "longer than 0.5 s"),
    ],
)
def test_a_process_that_misbehaves_is_told_apart(code, status, message):
    timeout_s = 0.5 if status == "timeout" else 20.0
    with _process(code) as process, pytest.raises(EntrantLostError, match=message) as caught:
        process.receive(timeout_s)
    assert caught.value.status == status


def test_a_process_that_is_gone_cannot_be_sent_to():
    with _process("pass") as process:
        process._process.wait()
        with pytest.raises(EntrantLostError, match="exit code 0"):
            process.send({"sample": True})


def test_nothing_of_a_process_is_left():
    with _process("import time; time.sleep(60)") as process:
        pid = process._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_contest_needs_different_names():
    entrants = [Entrant.vendor("numpy"), Entrant.vendor("numpy")]
    with pytest.raises(ValueError, match="one name"):
        contest(Gemm(4, 4, 4), entrants, QUICK)


@pytest.mark.extensive
@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_vendors_and_templates_take_turns(cache):
    need("torch")
    operator = Gemm(40, 48, 32, epilogue=Epilogue(("bias", "relu")))
    library = CpuTemplates(threads=1)
    native = library.native(operator)[0]
    path = ObjectCache().require(library.render(operator, native))
    entrants = [*map(Entrant.vendor, VENDORS), Entrant.templates(path, native)]
    profile = ProfileSettings(1, samples=3, min_sample_ns=10_000, cache=cache)
    found = contest(operator, entrants, profile)
    assert list(found) == [*VENDORS, "ours"]
    for timing in found.values():
        assert timing.ok, timing.message
        assert len(timing.samples) == 3
        assert timing.version
        assert 0 < timing.low_ns <= timing.median_ns <= timing.high_ns


def _unit(path: Path, body: str) -> Path:
    """Return a compiled unit whose kernel is `body`."""
    source = path.with_suffix(".cpp")
    source.write_text(
        "#include <cstdint>\n#include <cstdlib>\n"
        'extern "C" {\n'
        "int64_t triptych_packed_floats(int, const int64_t*) { return 16; }\n"
        "void triptych_pack(int, const float*, float*, const int64_t*) {}\n"
        "int64_t triptych_scratch_bytes(const int64_t*, const int64_t*) { return 0; }\n"
        "void triptych_run(void* const*, const int64_t*, const int64_t*, void*) "
        f"{{ {body} }}\n}}\n"
    )
    run_program(["g++", "-shared", "-fPIC", source, "-o", path], timeout_s=60)
    return path


@pytest.mark.extensive
def test_a_contest_goes_on_without_those_that_fail(tmp_path):
    need("torch")
    operator = Conv2d(1, 4, 4, 4, 4, (1, 1))
    native = CpuTemplates(threads=1).native(operator)[0]
    bodies = {"wrong": "", "crashed": "abort();"}
    entrants = [Entrant.vendor("numpy"), Entrant.vendor("torch")]
    entrants += [
        Entrant.templates(_unit(tmp_path / f"{name}.so", body), native, name)
        for name, body in bodies.items()
    ]
    missing = Entrant.templates(tmp_path / "none.so", native, "missing")
    found = contest(operator, [*entrants, missing], QUICK)
    statuses = {name: timing.status for name, timing in found.items()}
    assert statuses == {
        "numpy": "unsupported",
        "torch": "ok",
        "wrong": "wrong",
        "crashed": "crashed",
        "missing": "crashed",
    }
    assert "SIGABRT" in found["crashed"].message
