"""MetaSchedule as a rival: a real small tuning, and workers that die, hang or answer nonsense."""

from __future__ import annotations

import json
import subprocess
import sys

import psutil
import pytest

from experiments.paths import ROOT
from tests.needs import need
from tuning.metaschedule import passes, tune_metaschedule
from tuning.metaschedule.exported import load
from tuning.metaschedule.target import cpu_name, target_of
from tuning.metaschedule.tuned import RECORDS
from tuning.metaschedule.workload import module, parameter_names
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.operators.reference import mismatch, random_operands
from tuning.profile import ProfileSettings
from tuning.rivals import Entrant, contest

SMALL = Gemm(32, 48, 40, epilogue=Epilogue(("bias", "relu")))
BATCH = {
    "task": 0,
    "trials": [[1.0, 900.0], [2.0, None], [3.0, 700.0], [4.0, 800.0]],
    "build_errors": 1,
    "run_errors": 0,
    "message": "one did not build",
}


def _tune(folder, code: str, seconds: float = 60.0, trials: int = 4):
    """Tune with a stand-in for the worker: it has read the job as `job` and says with `say`."""
    prelude = (
        "import json, os, sys, time\n"
        "job = json.loads(sys.stdin.readline())\n"
        "def say(event): print(json.dumps(event), flush=True)\n"
    )
    command = (sys.executable, "-c", prelude + code)
    return tune_metaschedule(SMALL, trials, 1, seconds, folder, command=command)


def _says(*events) -> str:
    return "\n".join(f"say(json.loads({json.dumps(json.dumps(event))}))" for event in events) + "\n"


START, TUNED = {"tasks": 1, "cost_model": "xgb"}, {"tuned": True}


def test_events_add_up(tmp_path):
    end = {"exported": str(tmp_path / "library.so"), "fault": ""}
    found = _tune(tmp_path / "new", _says(START, BATCH, BATCH, TUNED, end))
    assert (found.trials, found.build_errors, found.run_errors) == (8, 2, 0)
    assert found.history == [(1.0, 900.0), (3.0, 700.0)]
    assert found.best_ns == 700.0
    assert (found.status, found.cost_model) == ("ok", "xgb")
    assert found.library == tmp_path / "library.so"
    assert found.seconds > 0


def test_two_functions_are_summed_once_both_ran(tmp_path):
    second = BATCH | {"task": 1, "trials": [[5.0, 100.0], [6.0, 50.0]]}
    found = _tune(tmp_path, _says(START | {"tasks": 2}, BATCH, second, TUNED, {"exported": "x"}))
    assert found.history == [(5.0, 800.0), (6.0, 750.0)]
    assert _tune(tmp_path, _says(START | {"tasks": 2}, BATCH)).best_ns == 0.0


def test_what_a_killed_worker_measured_counts(tmp_path):
    code = _says(START, BATCH)
    code = f"if job['only_export']:\n    say({{'exported': 'kept'}})\n    raise SystemExit\n{code}"
    found = _tune(tmp_path, code + "os.kill(os.getpid(), 11)\n")
    assert (found.status, found.best_ns, str(found.library)) == ("crashed", 700.0, "kept")
    assert "SIGSEGV" in found.message
    assert found.trials == 4


def test_the_limit_ends_a_tuning(tmp_path):
    code = "if job['only_export']:\n    say({'exported': 'kept'})\n    raise SystemExit\n"
    found = _tune(tmp_path, code + _says(START, BATCH) + "time.sleep(60)\n", seconds=2.0)
    assert (found.status, found.best_ns, str(found.library)) == ("timeout", 700.0, "kept")
    assert found.seconds >= 2.0


def test_a_worker_that_dies_at_once_is_an_answer(tmp_path):
    found = _tune(tmp_path, "raise SystemExit('no TVM here')")
    assert (found.status, found.best_ns, found.library) == ("crashed", 0.0, None)
    assert "no TVM here" in found.message


def test_a_winner_with_wrong_numbers_is_none(tmp_path):
    events = (START, BATCH, TUNED, {"exported": "x", "fault": "at (0, 0): 1 instead of 2"})
    found = _tune(tmp_path, _says(*events))
    assert (found.status, found.library) == ("wrong", None)
    assert "instead of" in found.message


@pytest.mark.parametrize(
    "event",
    [
        {"trials": [[1.0, 5.0]]},
        {"task": 0, "trials": [[1.0]]},
        {"task": 0, "trials": [["soon", 5.0]]},
        {"task": 0, "trials": [[1.0, -5.0]]},
        {"task": 0, "trials": [[1.0, float("nan")]]},
        {"task": 0, "trials": 7},
        {"build_errors": "many"},
        {"tasks": None},
    ],
)
def test_nonsense_is_a_crash(tmp_path, event):
    found = _tune(tmp_path, _says(START, event) + "time.sleep(60)\n")
    assert (found.status, found.best_ns) == ("crashed", 0.0)
    assert "nonsense" in found.message


def test_an_earlier_tuning_is_not_built_upon(tmp_path):
    (tmp_path / RECORDS).write_text("")
    with pytest.raises(ValueError, match="earlier tuning"):
        _tune(tmp_path, "")


@pytest.mark.parametrize(("trials", "seconds"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_budgets_are_positive(tmp_path, trials, seconds):
    with pytest.raises(ValueError, match="positive"):
        _tune(tmp_path, "", seconds, trials)


def test_a_processor_is_named_by_what_it_has():
    avx512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    avx2 = {"avx2", "fma", "f16c", "bmi2", "movbe"}
    assert cpu_name(avx512 | avx2 | {"avx512_bf16", "clzero"}) == "znver4"
    assert cpu_name(avx512 | avx2) == "skylake-avx512"
    assert cpu_name(avx2) == "haswell"
    assert cpu_name(()) == "generic"
    assert target_of(2, "generic") == {"kind": "llvm", "num-cores": 2}
    assert "mattr" not in target_of(1, "haswell")


def test_constants_are_what_may_be_laid_out_anew():
    operator = Gemm(4, 4, 4, epilogue=Epilogue(("bias", "residual")))
    assert parameter_names(operator) == (["a", "residual"], ["b", "bias"])
    assert parameter_names(Gemm(4, 4, 4, 2, False)) == (["a", "b"], [])


def test_children_of_a_killed_worker_end_too():
    code = (
        "import subprocess, sys, time\n"
        "from tuning.metaschedule.worker import TiedPopen\n"
        "print(TiedPopen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as worker:
        assert worker.stdout is not None
        child = psutil.Process(int(worker.stdout.readline()))
        worker.kill()
    child.wait(timeout=30)


@pytest.mark.extensive
@pytest.mark.timeout(600)
def test_a_small_tuning(tmp_path):
    """One for all: two functions, an activation and a conversion. Others differ in the workload."""
    operator = Pair(
        Gemm(16, 8, 24, epilogue=Epilogue(("bias", "gelu"))),
        Gemm(16, 24, 8, epilogue=Epilogue(("softplus",), "bfloat16")),
    )
    need("tvm")
    need("torch")
    found = tune_metaschedule(operator, 4, 1, 300.0, tmp_path)
    assert found.status == "ok", found.message
    assert found.library is not None
    assert found.library.is_file()
    assert 1 <= found.trials <= 4 * found.tasks
    assert found.build_errors + found.run_errors < found.trials
    assert found.history[-1][1] == found.best_ns > 0
    times = [best_ns for _, best_ns in found.history]
    assert times == sorted(times, reverse=True)
    entrant = Entrant.tvm(found.library)
    timing = contest(operator, [entrant], ProfileSettings(1, samples=2))["metaschedule"]
    assert timing.ok, timing.message


@pytest.mark.extensive
@pytest.mark.parametrize(
    "steps", ["bias+relu", "bias+residual+gelu>bfloat16", "hardswish+softplus"]
)
def test_a_workload_computes_the_operator_without_tuning(tmp_path, steps):
    need("tvm")
    need("torch")
    from tvm.target import Target

    epilogue, target = Epilogue.parse(steps), Target(target_of(1))
    first = Conv2d(2, 9, 10, 5, 7, padding=(1, 0), stride=(2, 1), epilogue=Epilogue(("relu",)))
    image = (2, first.out_height, first.out_width, 7)
    operators = [
        Gemm(33, 17, 29, epilogue=epilogue),
        Gemm(9, 7, 5, 3, False, epilogue),
        Conv2d(1, 12, 10, 6, 8, dilation=(2, 2), epilogue=epilogue),
        Pair(first, Conv2d(*image, 12, (1, 1), epilogue=epilogue)),
    ]
    for number, operator in enumerate(operators):
        path = tmp_path / f"{number}.so"  # a name of its own: the loader keeps what it has
        lowered = passes.lowered(module(operator), target)
        passes.export(passes.scheduled(lowered, target, tmp_path), target, path)
        operands = random_operands(operator)
        prepared = load(path, operator, operands)
        prepared.run()
        assert mismatch(operator, operands, prepared.output()) is None


def test_a_library_that_is_not_there_is_told(tmp_path):
    need("tvm")
    with pytest.raises(OSError, match="no exported library"):
        load(tmp_path / "none.so", SMALL, {})
