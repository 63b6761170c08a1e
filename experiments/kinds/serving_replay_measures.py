"""What the run kind `serving-replay` prepares and measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.kinds.base import Outcome
from experiments.kinds.serving_replay import STATISTICS, ReplayConfig, dataset_of
from policies.ordering.base import FINISHED, OneEnded
from serving.engine.config import EngineConfig
from serving.engine.result import EngineResult
from serving.engine.run import simulate
from serving.engine.series import RUNNING, STEP_NS, STEPS, USED_BLOCKS
from serving.estimates import oracle
from serving.pool import RequestPool, Workload
from serving.profiles.catalog import located
from serving.profiles.llmservingsim import KernelProfile, read_profile
from serving.profiles.recorded_run import RecordedRun, read_run
from serving.traces import jsonl
from serving.traces.base import Trace
from sim.gpu.models import model_named
from sim.gpu.overlap import overlap_named
from sim.streams import stream

NS_PER_S = 1e9


def outcome(config: ReplayConfig, seed: int) -> Outcome:
    """Replay the recorded run and compare.

    Raises:
        ValueError: data are absent, malformed, or do not belong together.
    """
    profile = read_profile(located(config.profile, "kernels", config.profile_sha256))
    recorded = read_run(located(config.run, "run", config.run_sha256))
    trace = jsonl.load(dataset_of(config, recorded.engine.dataset_sha256))
    check_alike(profile, recorded, trace)
    workload = _workload(config, recorded, trace, seed)
    engine = engine_of(config, profile, recorded)
    order = OneEnded(np.argsort(workload.pool.arrival_ns, kind="stable"))
    result = simulate(workload, oracle(workload), order, engine)
    arrival_s = workload.pool.arrival_ns / NS_PER_S
    times = np.array([arrival_s, result.first_token_ns / NS_PER_S, result.finish_ns / NS_PER_S])
    over_time = _over_time(recorded, result, times, engine.kv_blocks)
    setup = recorded.engine
    told = f"vLLM {setup.version}, {setup.model} on {setup.gpu}, {setup.kv_blocks} KV blocks"
    return Outcome(
        metrics=_metrics(recorded, result, times, over_time),
        tables={"over_time": over_time, "requests": _requests(recorded, times)},
        notes=[f"recorded: {told}", f"kernels: {profile.model} on {profile.gpu}"],
    )


def check_alike(profile: KernelProfile, recorded: RecordedRun, trace: Trace) -> None:
    """Refuse parts that do not belong together.

    Raises:
        ValueError: GPU, model or requests differ.
    """
    engine = recorded.engine
    for name, one, other in (
        ("gpu", profile.gpu, engine.gpu),
        ("model", profile.model, engine.model),
    ):
        if one != other:
            raise ValueError(f"{name}: the profile is of {one!r}, the run of {other!r}")
    same = np.array_equal(trace.prompt_tokens, recorded.prompt_tokens)
    if not (same and np.array_equal(trace.output_tokens, recorded.output_tokens)):
        raise ValueError("dataset: its lengths, row by row, are not those of the recorded requests")


def engine_of(config: ReplayConfig, profile: KernelProfile, recorded: RecordedRun) -> EngineConfig:
    """Return the engine as the recorded one was set up."""
    own = recorded.engine
    layers = model_named(config.model).layers
    captured = own.captured if config.graphs else ()
    return EngineConfig(
        profile.step_costs(layers, overlap_named("sum"), own.max_batched_tokens, captured),
        own.kv_blocks,
        own.max_batched_tokens,
        own.max_seqs,
        reserve_prompt=own.reserve_prompt,
        arrivals=True,
        async_scheduling=own.async_scheduling and config.lagging,
    )


def _workload(config: ReplayConfig, recorded: RecordedRun, trace: Trace, seed: int) -> Workload:
    arrival = recorded.queued_s * NS_PER_S
    if config.arrivals == "trace":
        arrival = (trace.arrival_ns - trace.arrival_ns.min()).astype(np.float64)
    rng = stream(seed, {"run": config.run_sha256}, "jitter")
    order = np.argsort(arrival, kind="stable")  # first come, first served: jitter keeps the order
    arrival[order] = np.sort(arrival + rng.uniform(0.0, config.jitter_s * NS_PER_S, arrival.size))
    block = recorded.engine.block_tokens
    whole = np.rint(arrival).astype(np.int64)
    pool = RequestPool.from_tokens(trace.tokens or (), block, whole)
    return Workload.of(pool, trace.output_tokens, config.run)


def _metrics(
    recorded: RecordedRun,
    result: EngineResult,
    times: NDArray[np.float64],
    over_time: dict[str, list[float]],
) -> dict[str, Any]:
    theirs = np.array([recorded.queued_s, recorded.first_s, recorded.last_s])
    tokens = recorded.prompt_tokens + recorded.output_tokens
    ours = _summary(times, recorded.output_tokens, tokens)
    measured = _summary(theirs, recorded.output_tokens, tokens)
    apart = {
        name: float(np.abs(np.subtract(over_time[name], over_time[f"recorded_{name}"])).mean())
        for name in ("running", "waiting", "kv_share")
    }
    return {
        **ours,
        **{f"{name}_error": value / measured[name] - 1.0 for name, value in ours.items()},
        **{f"{name}_error": value for name, value in apart.items()},
        "preemptions": result.totals.preemptions,
        "steps": result.totals.steps,
        "requests_done": int((result.status == FINISHED).sum()),
    }


def _summary(
    times: NDArray[np.float64], output: NDArray[np.int64], tokens: NDArray[np.int64]
) -> dict[str, float]:
    """Return makespan, throughput and statistics of the requests' times, in s."""
    queued, first, last = times
    makespan = float(last.max() - queued.min())
    several = output > 1
    gap = ((last - first) / np.maximum(output - 1, 1))[several]
    found = {"makespan_s": makespan, "throughput_tokens_s": float(tokens.sum()) / makespan}
    for name, values in (("latency", last - queued), ("ttft", first - queued), ("tpot", gap)):
        numbers = (values.mean(), *np.percentile(values, (50, 90, 95)))
        found |= {f"{name}_{s}_s": float(x) for s, x in zip(STATISTICS, numbers, strict=True)}
    return found


def _over_time(
    recorded: RecordedRun, result: EngineResult, times: NDArray[np.float64], kv_blocks: int
) -> dict[str, list[float]]:
    """Return ours and theirs at the recorded ticks; ours are means over some 30 steps."""
    rows, at = result.series, recorded.tick_s
    steps = np.maximum(rows[:, STEPS], 1)
    ends = np.cumsum(rows[:, STEP_NS]) / NS_PER_S
    bucket = np.searchsorted(ends, at)
    going = (at >= 0) & (bucket < ends.size)
    bucket = np.minimum(bucket, ends.size - 1)
    running = np.where(going, (rows[:, RUNNING] / steps)[bucket], 0.0)
    kv = np.where(going, (rows[:, USED_BLOCKS] / steps / kv_blocks)[bucket], 0.0)
    queued, _, last = (np.sort(column) for column in times)
    inside = np.searchsorted(queued, at, "right") - np.searchsorted(last, at, "right")
    columns = {
        "time_s": at,
        "running": running,
        "waiting": np.maximum(inside - running, 0.0),
        "kv_share": kv,
        "recorded_running": recorded.running,
        "recorded_waiting": recorded.waiting,
        "recorded_kv_share": recorded.kv_share,
    }
    return {name: values.tolist() for name, values in columns.items()}


def _requests(recorded: RecordedRun, times: NDArray[np.float64]) -> dict[str, list[float]]:
    columns = {
        "queued_s": times[0],
        "first_s": times[1],
        "last_s": times[2],
        "recorded_queued_s": recorded.queued_s,
        "recorded_first_s": recorded.first_s,
        "recorded_last_s": recorded.last_s,
    }
    return {name: values.tolist() for name, values in columns.items()}
