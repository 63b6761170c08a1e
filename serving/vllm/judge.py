"""Fits step costs on this machine and judges them on pools that they have not seen.

Times are CPU times of vLLM's process, with one thread: wall time would hold whatever else runs.
What is predicted uses the simulator's steps alone. Judged pools take turns, so that a slow spell
of the machine falls on all; the middle of at least five turns counts, and the range is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from policies.ordering.base import OneEnded
from serving.engine.config import EngineConfig
from serving.estimates import oracle
from serving.pool import Workload
from serving.vllm.calibration import StepFit, fit_steps, work_of
from serving.vllm.client import Sizes, VllmEngine
from serving.vllm.model import DummyModel
from serving.vllm.predicted import equal_steps, predicted
from serving.vllm.rows import first_difference
from serving.vllm.workloads import FITTED, JUDGED, SHAPES, pool_of

LEAST_REPEATS = 5


@dataclass(frozen=True)
class Judgement:
    """One pool that the fit has not seen.

    Attributes:
        name: of the pool.
        predicted_s: by the fit, from simulated steps.
        plain_s: the same without the term of distinct KV tokens.
        measured_s: each repeat.
        steps: of a repeat.
    """

    name: str
    predicted_s: float
    plain_s: float
    measured_s: tuple[float, ...]
    steps: int

    @property
    def middle_s(self) -> float:
        """The median of the repeats."""
        return float(np.median(self.measured_s))

    @property
    def error(self) -> float:
        """Predicted over measured, minus 1."""
        return self.predicted_s / self.middle_s - 1.0


@dataclass(frozen=True)
class Calibration:
    """What was fitted and how it stood the test."""

    fit: StepFit
    plain: StepFit
    judged: tuple[Judgement, ...]
    about: dict[str, object]

    @property
    def worst_error(self) -> float:
        """The largest error, sign left out."""
        return max(abs(one.error) for one in self.judged)


@dataclass(frozen=True, eq=False)
class _Job:
    workload: Workload
    prompts: list[list[int]]
    plan: OneEnded
    config: EngineConfig


def _job(name: str, engine: VllmEngine, seed: int, scale: float) -> _Job:
    shape, sizes = SHAPES[name], engine.sizes
    rng = np.random.default_rng([seed, *name.encode()])
    workload, prompts = pool_of(shape, sizes.block_tokens, sizes.model.vocabulary, rng, scale)
    config = EngineConfig(
        equal_steps(shape.budget), sizes.kv_blocks, shape.budget, shape.seats, reserve_prompt=True
    )
    return _Job(workload, prompts, OneEnded(np.arange(len(workload.pool))), config)


def _measured(engine: VllmEngine, job: _Job) -> tuple[np.ndarray, np.ndarray]:
    """Return (work of each step, its CPU time) of a run that the simulator foresaw.

    Raises:
        RuntimeError: the simulator did not: its steps cannot be used to predict.
    """
    guess = oracle(job.workload)
    run = engine.run(job.workload, job.prompts, guess, job.plan, job.config)
    parted = first_difference(predicted(job.workload, guess, job.plan, job.config), run.rows)
    if parted is not None:
        raise RuntimeError(f"the simulator's steps are not vLLM's: {parted}")
    return work_of(run.rows, job.workload), run.cpu_ns


def calibrate(
    model: DummyModel,
    *,
    repeats: int = LEAST_REPEATS,
    seed: int = 0,
    scale: float = 1.0,
    dtype: str = "float32",
    say: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """Start vLLM, measure, fit, and judge.

    Args:
        model: the decoder.
        repeats: turns of the judged pools.
        seed: of the pools.
        scale: of their sizes.
        dtype: of weights and KV cache.
        say: gets a line of progress now and then.

    Raises:
        ValueError: `repeats` < 1 or `scale` is not positive.
        VllmError: vLLM is absent or failed.
    """
    if repeats < 1 or not scale > 0:
        raise ValueError(f"repeats and scale must be positive, got {repeats} and {scale}")
    sizes = Sizes(model, 2048, max_batched_tokens=512, max_seqs=32, dtype=dtype)
    with VllmEngine(sizes) as engine:
        _measured(engine, _job("mix", engine, seed + 1, 0.2))  # warms caches and allocators
        parts = []
        for name in (*FITTED, *FITTED):
            say(f"measuring {name}")
            parts.append(_measured(engine, _job(name, engine, seed, scale)))
        work = np.concatenate([part[0] for part in parts])
        taken = np.concatenate([part[1] for part in parts])
        fits = fit_steps(work, taken), fit_steps(work, taken, distinct=False)
        judged = _judge(engine, fits, repeats, seed, scale, say)
        return Calibration(*fits, judged, engine.about)


def _judge(
    engine: VllmEngine,
    fits: tuple[StepFit, StepFit],
    repeats: int,
    seed: int,
    scale: float,
    say: Callable[[str], None],
) -> tuple[Judgement, ...]:
    jobs = {name: _job(name, engine, seed, scale) for name in JUDGED}
    taken: dict[str, list[float]] = {name: [] for name in JUDGED}
    for turn in range(repeats):
        say(f"judging, turn {turn + 1} of {repeats}")
        for name, job in jobs.items():
            taken[name].append(float(_measured(engine, job)[1].sum()) / 1e9)
    judged = []
    for name, job in jobs.items():
        rows = predicted(job.workload, oracle(job.workload), job.plan, job.config)
        work = work_of(rows, job.workload)
        seconds = [float(fit.predict_ns(work).sum()) / 1e9 for fit in fits]
        judged.append(Judgement(name, seconds[0], seconds[1], tuple(taken[name]), len(rows)))
    return tuple(judged)
