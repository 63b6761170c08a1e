"""What a candidate does is its status; nothing that it does reaches the profiler."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.paths import ROOT
from tests.needs import need
from tests.tuning.fakes import OPERATOR, FakeLibrary
from tuning.compile import ObjectCache
from tuning.operators import Conv2d
from tuning.profile import (
    NothingMeasuredError,
    Profiler,
    ProfileSettings,
    TooLargeError,
    measuring,
)
from tuning.profile.bench import Entry
from tuning.profile.lock import lock_path
from tuning.space import OUT_OF_BUDGET, Measurement

QUICK = ProfileSettings(threads=1, warmup=1, samples=3, min_sample_ns=10_000)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> ObjectCache:
    return ObjectCache(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="module")
def shared(objects: ObjectCache) -> Iterator[Profiler]:
    """One profiler for all tests: what one candidate does must not matter to the next either."""
    with Profiler(FakeLibrary(), QUICK, objects) as profiler:
        yield profiler


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("torch")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))


def asked(profiler: Profiler, *kinds: str) -> list[Measurement]:
    return profiler.measure(OPERATOR, [FakeLibrary().candidate(kind) for kind in kinds])


def measured(objects: ObjectCache, *kinds: str, settings: ProfileSettings) -> list[Measurement]:
    with Profiler(FakeLibrary(), settings, objects) as profiler:
        return asked(profiler, *kinds)


def test_times_come_with_quartiles_and_counts(shared):
    good, slow = asked(shared, "good", "slow")
    for found in (good, slow):
        assert found.status == "ok"
        assert 0 < found.low_ns <= found.median_ns <= found.high_ns
        assert found.samples >= 1
        assert found.measure_s > 0
    assert slow.median_ns > good.median_ns  # sleeps for thousands of times the other's work


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_both_cache_modes_give_times(objects, cache):
    settings = ProfileSettings(threads=1, samples=2, min_sample_ns=1000, cache=cache)
    found = measured(objects, "good", "slow", settings=settings)
    assert [m.status for m in found] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("late_segfault", "crashed", "SIGSEGV"),
        ("abort", "crashed", "SIGABRT: assertion of mine"),
        ("exit", "crashed", "exit code 3"),
        ("garble", "crashed", "garbled the profiler's events"),
        ("wrong", "wrong", "at (0, 0)"),
        ("nan", "wrong", "nan instead of"),
        ("stray", "wrong", "wrote before or behind its output"),
        ("stray_before", "wrong", "wrote before or behind its output"),
        ("lazy", "wrong", "nan instead of"),
        ("syntax", "compile_error", "error"),
        ("illegal", "rejected", "is not allowed"),
        ("mute", "crashed", "cannot be loaded"),
    ],
)
def test_a_candidate_that_goes_wrong_is_a_record_and_its_neighbours_are_measured(
    shared, kind, status, message
):
    before, bad, after = asked(shared, "good", kind, "slow")
    assert (bad.status, before.status, after.status) == (status, "ok", "ok")
    assert message in bad.message
    assert bad.median_ns == 0.0


def test_a_candidate_that_hangs_is_ended_and_the_rest_goes_on(objects):
    settings = ProfileSettings(threads=1, samples=2, min_sample_ns=1000, timeout_s=0.5)
    hung, good = measured(objects, "hang", "good", settings=settings)
    assert (hung.status, hung.message) == ("timeout", "took longer than 0.5 s")
    assert good.ok


def test_what_a_kernel_prints_is_no_event(shared):
    assert [m.status for m in asked(shared, "noisy", "good")] == ["ok", "ok"]


def test_a_candidate_named_twice_is_measured_once(shared):
    first, other, again = asked(shared, "good", "slow", "good")
    assert first == again
    assert other != first


def test_an_operator_that_no_memory_holds_is_one_clear_error(shared):
    huge = Conv2d(1, 100_000, 100_000, 100, 100, (1, 1))
    with pytest.raises(TooLargeError, match=r"needs about .* GiB of memory, and .* are free"):
        shared.measure(huge, [FakeLibrary().candidate("good")])
    assert shared.measure(huge, []) == []
    assert asked(shared, "good")[0].ok


def test_few_undisturbed_samples_are_not_trusted_alone():
    entry = Entry(0, Path(), FakeLibrary().candidate("good"), True)
    entry.samples = [5.0, 6.0, 7.0, 8.0, 9.0]
    for clean, trusted in ((1, 5), (2, 5), (3, 3), (4, 4)):
        entry.clean = entry.samples[:clean]
        assert len(entry.trusted) == trusted
    entry.samples = entry.clean = [5.0]
    assert entry.trusted == [5.0]


def test_no_candidates_are_no_measurements(shared):
    assert asked(shared) == []


def test_numbers_go_unchecked_where_the_settings_say_so(objects):
    settings = ProfileSettings(threads=1, samples=2, min_sample_ns=1000, check=False)
    assert measured(objects, "wrong", settings=settings)[0].ok


def test_candidates_of_one_object_pay_for_it_once(tmp_path):
    library = FakeLibrary()
    with Profiler(library, QUICK, ObjectCache(tmp_path / "o")) as profiler:
        twins = [library.candidate("good", number) for number in range(3)]
        found = profiler.measure(OPERATOR, twins)
        again = profiler.measure(OPERATOR, twins)
    assert [m.compile_s > 0 for m in found] == [True, False, False]
    assert [m.compile_s for m in again] == [0.0, 0.0, 0.0]


def test_a_damaged_object_is_compiled_anew(tmp_path):
    library, cache = FakeLibrary(), ObjectCache(tmp_path / "o")
    candidate = library.candidate("good")
    path = cache.require(library.render(OPERATOR, candidate))
    data = bytearray(path.read_bytes())
    data[64:4096] = bytes(len(data[64:4096]))  # program headers; length and ends stay
    path.write_bytes(data)
    with Profiler(library, QUICK, cache) as profiler:
        assert profiler.measure(OPERATOR, [candidate])[0].ok


def test_without_time_all_is_out_of_budget(objects, tmp_path):
    library = FakeLibrary()
    with Profiler(library, QUICK, ObjectCache(tmp_path / "empty")) as profiler:
        found = profiler.measure(OPERATOR, [library.candidate("good")], seconds=0.0)
    assert [(m.status, m.message) for m in found] == [("rejected", OUT_OF_BUDGET)]
    with Profiler(library, QUICK, objects) as profiler:
        profiler.measure(OPERATOR, [library.candidate("good")])
        found = profiler.measure(OPERATOR, [library.candidate("good")], seconds=0.0)
    assert [(m.status, m.message) for m in found] == [("rejected", OUT_OF_BUDGET)]


def test_a_compiler_that_is_missing_is_named(objects):
    library = FakeLibrary(compiler="no-such-compiler")
    with Profiler(library, QUICK, objects) as profiler:
        found = profiler.measure(OPERATOR, [library.candidate("good")])[0]
    assert found.status == "compile_error"
    assert "no-such-compiler" in found.message


def test_a_candidate_of_another_library_is_rejected_with_the_reason(objects):
    from tuning.space import Candidate

    library = FakeLibrary()
    with Profiler(library, QUICK, objects) as profiler:
        found = profiler.measure(OPERATOR, [Candidate.of("gemm", {"tile": 3}, {})])[0]
    assert found.status == "rejected"
    assert "'kind'" in found.message


def test_two_profilers_never_measure_at_once(shared):
    done = threading.Event()

    def work() -> None:
        asked(shared, "good")
        done.set()

    with measuring():
        assert lock_path().is_file()
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.wait(0.7)
    thread.join(60)
    assert done.is_set()


def test_closing_ends_the_worker_and_the_profiler_can_go_on(objects):
    library = FakeLibrary()
    profiler = Profiler(library, QUICK, objects)
    assert profiler.measure(OPERATOR, [library.candidate("good")])[0].ok
    open_files = len(os.listdir("/proc/self/fd"))
    profiler.close()
    assert len(os.listdir("/proc/self/fd")) < open_files
    assert profiler.measure(OPERATOR, [library.candidate("good")])[0].ok
    profiler.close()


@pytest.mark.extensive
def test_a_worker_ends_with_its_profiler_even_while_a_kernel_hangs(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from tests.tuning.fakes import OPERATOR, FakeLibrary\n"
        "from tuning.compile import ObjectCache\n"
        "from tuning.profile import Profiler, ProfileSettings\n"
        "library = FakeLibrary()\n"
        "profiler = Profiler(library, ProfileSettings(1), ObjectCache(Path(sys.argv[1])))\n"
        "profiler.measure(OPERATOR, [library.candidate('hang')])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        worker = _wait_for(lambda: _running(f"tuning.profile.worker {tmp_path}"))
        assert worker
        time.sleep(0.1)  # wherever it is by now: starting, or within the kernel
    finally:
        parent.kill()
        parent.wait()
    assert _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in worker))


def _running(text: str) -> list[int]:
    """Return the processes whose command line holds `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            found += [int(folder.name)] if text in command else []
    return found


def _wait_for(question: Callable[[], Any]) -> Any:
    """Return the first true answer within two minutes, or the last."""
    end = time.monotonic() + 120
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


def test_the_error_counts_why_nothing_was_measured(shared):
    found = asked(shared, "segfault", "wrong", "illegal")
    told = str(NothingMeasuredError.of(OPERATOR, found))
    for part in ("gemm 8x8x8", "1 crashed", "1 wrong", "1 rejected", "SIGSEGV", "kind=wrong"):
        assert part in told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threads", 0),
        ("threads", True),
        ("warmup", -1),
        ("samples", 0),
        ("samples", 2.5),
        ("min_sample_ns", -1),
        ("cache", "hot"),
        ("timeout_s", 0.0),
        ("timeout_s", float("nan")),
        ("timeout_s", float("inf")),
        ("seed", -1),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field}: "):
        ProfileSettings(**({"threads": 1} | {field: value}))


def test_settings_survive_a_round_trip_and_unknown_fields_are_named():
    settings = ProfileSettings(threads=2, cache="cold", timeout_s=1.5)
    assert ProfileSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(ValueError, match="colour"):
        ProfileSettings.from_dict({"threads": 1, "colour": 1})
