"""The pools of `serving_workloads`, made and described."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.kinds.serving_workloads import (
    REAL_SOURCES,
    AdversarialWorkload,
    ClientsWorkload,
    FileWorkload,
    MixWorkload,
    SourceWorkload,
    StandinWorkload,
    TraceWorkload,
)
from serving.adversarial import adversarial
from serving.mixes import alone, blend
from serving.pool import Workload
from serving.sources import COMPUTE_SOURCES, SOURCES, RealLengths, Source
from serving.standins import STANDINS
from serving.traces.base import Trace
from serving.traces.catalog import READERS, TRACES, load_file, load_trace, missing_message
from serving.traces.clients import CLIENTS, clients_missing_message, load_clients
from serving.traces.servegen import draw_pool
from sim.streams import stream

AnyWorkload = (
    TraceWorkload
    | FileWorkload
    | StandinWorkload
    | MixWorkload
    | SourceWorkload
    | ClientsWorkload
    | AdversarialWorkload
)


def make_workload(wanted: AnyWorkload, seed: int, block_tokens: int) -> Workload:
    """Return the pool of a settled configuration.

    Raises:
        ValueError: it cannot be read or generated.
    """
    rng = stream(seed, {"workload": wanted.identity()}, "requests")
    if isinstance(wanted, MixWorkload):
        shape = (wanted.density, wanted.sharing, wanted.requests, block_tokens, rng)
        source = _compute_source(wanted)
        return blend(*shape, wanted.min_videos, source, wanted.density_for)
    if isinstance(wanted, SourceWorkload):
        return alone(SOURCES[wanted.name], wanted.requests, block_tokens, rng)
    if isinstance(wanted, AdversarialWorkload):
        return adversarial(wanted.pool, wanted.requests, block_tokens, rng)
    if isinstance(wanted, ClientsWorkload):
        origin = f"lengths drawn from {CLIENTS[wanted.name].published}: {wanted.name}"
        windows = load_clients(wanted.name, wanted.sha256)
        return draw_pool(windows, wanted.requests, block_tokens, origin, rng)
    if isinstance(wanted, StandinWorkload):
        size = wanted.requests or TRACES[wanted.name].requests
        if size is None:
            raise ValueError(f"workload: say how many requests stand in for {wanted.name!r}")
        return STANDINS[wanted.name](size, block_tokens, rng)
    if isinstance(wanted, FileWorkload):
        trace = load_file(Path(wanted.path), READERS[wanted.format], wanted.sha256)
        origin = f"file {Path(wanted.path).name} ({wanted.format})"
    else:
        trace = load_trace(wanted.name, wanted.sha256)
        origin = f"{TRACES[wanted.name].published}: {wanted.name}"
    return _window(trace, origin, wanted.requests, block_tokens, rng)


def _window(
    trace: Trace, origin: str, requests: int | None, block_tokens: int, rng: np.random.Generator
) -> Workload:
    whole = trace.workload(block_tokens, origin)
    if requests is None or requests >= len(whole.pool):
        return whole
    start = int(rng.integers(0, len(whole.pool) - requests + 1))
    return whole.subset(np.arange(start, start + requests))


def _compute_source(wanted: MixWorkload) -> Source | RealLengths:
    """Return the generator, or the lengths of the trace if it was found when resolved."""
    name = wanted.compute_source
    if name not in REAL_SOURCES:
        return COMPUTE_SOURCES[name]
    if wanted.compute_sha256 is None:
        return COMPUTE_SOURCES[REAL_SOURCES[name]]
    trace = load_trace(name, wanted.compute_sha256)
    return RealLengths(name, trace.prompt_tokens, trace.output_tokens)


def missing(wanted: AnyWorkload) -> str | None:
    """Return what to say if the settled workload reads files that were not found."""
    if isinstance(wanted, TraceWorkload) and wanted.sha256 is None:
        return missing_message(wanted.name)
    if isinstance(wanted, ClientsWorkload) and wanted.sha256 is None:
        return clients_missing_message(wanted.name)
    return None


def notes_on(wanted: AnyWorkload, workload: Workload) -> list[str]:
    """Return what a reader must know of the pool."""
    absent = None
    if isinstance(wanted, StandinWorkload):
        absent = wanted.name
    elif isinstance(wanted, MixWorkload) and wanted.compute_sha256 is None:
        absent = wanted.compute_source if wanted.compute_source in REAL_SOURCES else None
    return [workload.origin, *([missing_message(absent)] if absent else [])]
