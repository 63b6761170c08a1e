"""The process that runs TVM, so that a crash of it is an answer: a job in, events out.

One JSON object on stdin (`operator`, `trials`, `threads`, `folder`, `seed`, `only_export`); on
stdout one JSON line per batch of trials, and one at the end.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuning.metaschedule import passes
from tuning.metaschedule.exported import load
from tuning.metaschedule.target import target_of
from tuning.metaschedule.workload import module
from tuning.operators import Operator, operator_from_dict
from tuning.operators.reference import mismatch, random_operands
from tuning.profile.lifeline import end_with_parent, tie_to_parent

LIBRARY = "library.so"
BATCH = 16
"""Trials between two updates of the cost model. TVM's default of 64 would end most tunings here
before the model is used once."""

Say = Callable[[dict[str, Any]], None]


def leave_out_intrinsics() -> None:
    """Keep TVM from loading its tensor intrinsics, before it is imported.

    They take 10 to 30 s of every process: their scripts are parsed, and each of 26,000 look-ups
    walks through all loaded modules. They are for tensor cores and for 8-bit integers; float32
    has no use for them. Loading them made every build run into TVM's time-out on a busy machine.
    """
    name = "tvm.s_tir.tensor_intrin"
    sys.modules.setdefault(name, types.ModuleType(name))


class TiedPopen(subprocess.Popen[bytes]):
    """Starts children that end with this process; TVM's builders would outlive it, waiting."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, preexec_fn=tie_to_parent)


def build_plain(found: Any, target: Any, _: Any) -> Any:
    """Build one candidate as TVM's `default_build` does, without the intrinsics."""
    from tvm.driver import build
    from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

    return build(RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(found), target=target)


def main() -> None:
    """Do one job."""
    end_with_parent()
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())

    def say(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    leave_out_intrinsics()
    subprocess.Popen = TiedPopen
    from tvm.target import Target

    operator, folder = operator_from_dict(job["operator"]), Path(job["folder"])
    target = Target(target_of(job["threads"]))
    found = passes.lowered(module(operator), target)
    if not job["only_export"]:
        _tune(found, target, job, say)
        say({"tuned": True})
    path = folder / LIBRARY
    passes.export(passes.scheduled(found, target, folder), target, path)
    say({"exported": str(path), "fault": _fault(operator, path)})


def _fault(operator: Operator, path: Path) -> str:
    """Return what is wrong with the library's numbers, "" if nothing is."""
    operands = random_operands(operator)
    prepared = load(path, operator, operands)
    prepared.run()
    return mismatch(operator, operands, prepared.output()) or ""


def _tune(found: Any, target: Any, job: dict[str, Any], say: Say) -> None:
    from tvm.s_tir import meta_schedule as ms

    from tuning.metaschedule.listening import listener, timed_runner

    tasks = ms.relax_integration.extract_tasks(found, target, {})
    model = "xgb" if importlib.util.find_spec("xgboost") else "random"
    say({"tasks": len(tasks), "cost_model": model})
    start = time.monotonic()
    moments: list[float] = []
    builder: Any = ms.builder.LocalBuilder(f_build=build_plain, timeout_sec=60)
    space = ms.space_generator.PostOrderApply(
        sch_rules=ms.ScheduleRule.create("llvm"),
        postprocs=ms.Postproc.create("llvm"),
        mutator_probs=ms.Mutator.create("llvm"),
    )
    ms.relax_integration.tune_relax(
        found,
        {},
        target,
        job["folder"],
        max_trials_global=job["trials"] * len(tasks),
        max_trials_per_task=job["trials"],
        num_trials_per_iter=min(BATCH, job["trials"]),
        builder=builder,
        runner=timed_runner(moments, start),
        cost_model=model,
        measure_callbacks=[*ms.MeasureCallback.create("default"), listener(moments, start, say)],
        space=space,
        strategy=job["strategy"],
        seed=job["seed"],
    )


if __name__ == "__main__":
    main()
