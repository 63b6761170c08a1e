"""What is heard of MetaSchedule while it runs: when each candidate was measured, and its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def timed_runner(moments: list[float], start: float) -> Any:
    """Return TVM's local runner; `moments` gets the seconds after `start` of every run's end."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.runner import EvaluatorConfig, LocalRunner, PyRunner

    inner = LocalRunner(evaluator_config=EvaluatorConfig(number=1, repeat=3, min_repeat_ms=50))

    @derived_object
    class TimedRunner(PyRunner):
        """Runs one candidate after another and looks at the clock."""

        def run(self, runner_inputs: list[Any]) -> list[Any]:
            """Return one future per input."""
            found = []
            for one in runner_inputs:
                found += inner.run([one])
                moments.append(time.monotonic() - start)
            return found

    return TimedRunner()


def listener(moments: list[float], start: float, say: Callable[[dict[str, Any]], None]) -> Any:
    """Return a callback that tells of each batch, once its records are in the database.

    A trial is (seconds, nanoseconds), the latter None if it was not built or did not run.
    """
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.measure_callback import PyMeasureCallback

    @derived_object
    class Listener(PyMeasureCallback):
        """Counts builds and runs."""

        def apply(
            self,
            task_scheduler: Any,
            task_id: int,
            measure_candidates: list[Any],
            builder_results: list[Any],
            runner_results: list[Any],
        ) -> None:
            """Tell of one batch."""
            trials: list[tuple[float, float | None]] = []
            unbuilt, unrun, message = 0, 0, ""
            ends = iter(moments)
            for built, run in zip(builder_results, runner_results, strict=True):
                if built.error_msg is not None:
                    unbuilt, message = unbuilt + 1, str(built.error_msg)
                    trials.append((time.monotonic() - start, None))
                    continue
                end = next(ends, time.monotonic() - start)
                if run.run_secs is None:
                    unrun, message = unrun + 1, str(run.error_msg)
                    trials.append((end, None))
                else:
                    taken = [float(second) for second in run.run_secs]
                    trials.append((end, 1e9 * sum(taken) / len(taken)))
            moments.clear()
            event = {"task": task_id, "trials": trials, "message": message[:400]}
            say(event | {"build_errors": unbuilt, "run_errors": unrun})

    return Listener()
