"""A recorded run of vLLM in the format of LLMServingSim 2.0's benchmark.

A folder with `requests.jsonl` (lengths and times of each request), `timeseries.csv` (a row per
second) and `meta.json` (what the engine resolved its options to). Times of requests are those of
vLLM's core: `queued_ts`, `first_token_ts`, `last_token_ts`, in seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.profiles.curves import not_negative
from serving.profiles.files import files_of
from serving.profiles.meta import Meta, RecordedEngine, read_meta
from serving.traces.base import TraceError, count
from serving.traces.columns import read_columns
from serving.traces.lines import number, read_objects, wanted

CLOCKS = ("arrival_time", "queued_ts", "first_token_ts", "last_token_ts")
GAUGES = ("t", "running", "waiting", "kv_cache_pct")


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """n requests and k ticks; times in s since the first request was queued.

    Attributes:
        engine: how vLLM was set up.
        prompt_tokens: int64[n].
        output_tokens: int64[n].
        queued_s: float64[n], when the core took the request in.
        first_s: float64[n], when its first token was there.
        last_s: float64[n], when its last token was there.
        tick_s: float64[k].
        running: float64[k], running requests at each tick.
        waiting: float64[k], waiting ones, preempted ones among them.
        kv_share: float64[k], share of the KV blocks in use.
    """

    engine: RecordedEngine
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    queued_s: NDArray[np.float64]
    first_s: NDArray[np.float64]
    last_s: NDArray[np.float64]
    tick_s: NDArray[np.float64]
    running: NDArray[np.float64]
    waiting: NDArray[np.float64]
    kv_share: NDArray[np.float64]


def read_run(folder: Path) -> RecordedRun:
    """Read the folder.

    Raises:
        TraceError: a file is absent or malformed, or the run is of a kind that is not modelled.
    """
    meta_path, requests_path, series_path = files_of("run", folder)
    meta = read_meta(meta_path)
    lengths, clocks = _read_requests(requests_path)
    arrival, queued, first, last = clocks
    start = queued.min()
    gauges = _read_gauges(series_path)
    # The ticks count from the benchmark's start by the wall clock, which `arrival_time` shares.
    tick_s = gauges[0] - (arrival[np.argmin(queued)] - _started(meta_path, meta))
    return RecordedRun(
        meta.engine,
        prompt_tokens=lengths[0],
        output_tokens=lengths[1],
        queued_s=queued - start,
        first_s=first - start,
        last_s=last - start,
        tick_s=tick_s,
        running=gauges[1],
        waiting=gauges[2],
        kv_share=gauges[3] / 100.0,
    )


def _read_requests(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return lengths int64[2, n] and clocks float64[4, n]."""
    lengths, clocks = [], []
    for row, value in read_objects(path):
        names = ("input_toks", "output_toks")
        lengths.append([count(path, row, n, wanted(path, row, value, n)[1]) for n in names])
        times = [number(path, row, n, wanted(path, row, value, n)[1]) for n in CLOCKS]
        if not 0 <= times[1] <= times[2] <= times[3] < 1e15:
            message = f"{CLOCKS[1:]} must rise, got {times[1:]}"
            raise TraceError(path, row, CLOCKS[1], message)
        clocks.append(times)
    if not lengths:
        raise TraceError(path, None, None, "holds no request")
    return np.array(lengths, np.int64).T, np.array(clocks, np.float64).T


def _read_gauges(path: Path) -> NDArray[np.float64]:
    """Return float64[4, k]: t, running, waiting, per cent of the KV cache."""
    rows = []
    for row, fields in read_columns(path, GAUGES):
        rows.append([not_negative(path, row, name, fields[name]) for name in GAUGES])
        if len(rows) > 1 and rows[-1][0] <= rows[-2][0]:
            raise TraceError(path, row, "t", "time goes back")
    if not rows:
        raise TraceError(path, None, None, "holds no tick")
    return np.array(rows, np.float64).T


def _started(path: Path, meta: Meta) -> float:
    try:
        return datetime.fromisoformat(meta.started_at).timestamp()
    except ValueError:
        message = f"{meta.started_at[:40]!r} is no time like 2026-08-20T23:19:39Z"
        raise TraceError(path, None, "started_at", message) from None
