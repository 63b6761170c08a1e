"""Run whole batch steps of schedules on this GPU, sequential and overlapped, with random weights.

    python -m on_gpu engine --schedules blendserve.jsonl prefix_dfs.jsonl --plan
    python -m on_gpu engine --schedules *.jsonl --layers 8 --out engine.jsonl
    python -m on_gpu engine --schedules *.jsonl --dry-run      # a tiny model on the CPU

A schedule says which tokens of which request every step computes (`serving.overlap.schedules`
writes them). Each is run in three ways: `sequential` (the whole batch on one stream), `split` (two
nano-batches on one stream) and `overlapped` (decode attention of either nano-batch beside the GEMMs
and the prefill attention of the other). Per step: ms on the GPU, and ms that the CPU took to queue
it; where the latter is longer, the step was bound by launches. Orders and ways take turns, some
steps at a time, so that a slow spell falls on all; what a segment left undone is done by the next
call. Decode attention is checked against float64 before anything is timed.

With fewer layers than the model has, steps are shorter in the same proportion, but for embedding
and LM head. The KV cache is shared by all runs, so that what is computed has no meaning beyond its
time. Exit codes: 0 all is there, 2 something is wrong, 3 steps are left (start it again).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .attention import KINDS, check_decode
from .decoder import MODES, Decoder
from .pages import Pages
from .parts import Part, PartMaker, halves
from .rows import VERSION, about_dry, about_gpu, append, rows_of_this
from .schedule import Schedule, Step, read_schedule
from .shapes import MODELS, VALUE_BYTES, Model, model_of

FORMAT = "triptych-gpu-engine"


@dataclass(frozen=True)
class Unit:
    """What is timed in one go: some steps of one schedule in one way, once."""

    repeat: int
    first: int
    order: str
    mode: str


def units(
    lengths: dict[str, int], modes: tuple[str, ...], repeats: int, segment: int
) -> Iterator[Unit]:
    """Yield all units; orders and ways change places from repeat to repeat."""
    orders = list(lengths)
    for repeat in range(repeats):
        for first in range(0, max(lengths.values(), default=0), segment):
            for i in range(len(orders)):
                order = orders[(i + repeat) % len(orders)]
                if first < lengths[order]:
                    for j in range(len(modes)):
                        yield Unit(repeat, first, order, modes[(j + repeat) % len(modes)])


def prepared(
    maker_of: Callable[[Pages], PartMaker],
    schedule: Schedule,
    pages: int,
    first: int,
    steps: int,
    mode: str,
) -> list[list[Part]]:
    """Return the parts of steps `first` to `first + steps`; pages are given from the beginning."""
    given = Pages(schedule, pages)
    maker, found = maker_of(given), []
    for number, step in enumerate(schedule.steps[: first + steps]):
        given.begin(step)
        if number >= first:
            found.append(parts_of(step, maker, mode))
    return found


def parts_of(step: Step, maker: PartMaker, mode: str) -> list[Part]:
    """Return a step's batch, whole or as nano-batches."""
    if mode == "sequential":
        return [maker.make(list(step.prefill), list(step.decode))]
    return [maker.make(chunks, decodes) for chunks, decodes in halves(step)]


def simulated_ms(steps: tuple[Step, ...], first: int, count: int) -> dict[str, float]:
    """Return what the simulator says of some steps: no overlap, half of it, all of it."""
    parts = [(s.compute_ns / 1e6, s.memory_ns / 1e6) for s in steps[first : first + count]]
    return {
        "sum": sum(c + m for c, m in parts),
        "half": sum(max(c, m) + 0.5 * min(c, m) for c, m in parts),
        "max": sum(max(c, m) for c, m in parts),
    }


def timed(torch: Any, decoder: Decoder, steps: list[list[Part]], mode: str) -> dict[str, Any]:
    """Run steps; return ms of each on the device, and on the CPU until it was queued."""
    overlapped, cuda = mode == "overlapped", decoder.device == "cuda"
    host, marks = [], []
    if cuda:
        torch.cuda.synchronize()
        marks.append(torch.cuda.current_stream().record_event(_event(torch)))
    for parts in steps:
        began = time.perf_counter()
        decoder.step(parts, overlapped)
        if cuda:
            marks.append(torch.cuda.current_stream().record_event(_event(torch)))
        host.append(1e3 * (time.perf_counter() - began))
    if not cuda:
        return {"step_ms": host, "host_ms": host}
    torch.cuda.synchronize()
    return {"step_ms": [a.elapsed_time(b) for a, b in itertools.pairwise(marks)], "host_ms": host}


def _event(torch: Any) -> Any:
    return torch.cuda.Event(enable_timing=True)


# -- command ----------------------------------------------------------------------------------


def show_plan(model: Model, schedules: dict[str, Schedule]) -> None:
    """Print what the schedules ask for."""
    weights = sum(a * b for a, b in model.gemms()) * model.layers
    print("order steps tokens_computed KV_tokens_read Tflop GB_of_KV_read GB_of_KV_cache")
    for name, schedule in schedules.items():
        tokens = sum(step.tokens for step in schedule.steps)
        read = sum(step.kv_tokens for step in schedule.steps)
        each = model.kv_bytes * model.layers / 1e9
        cache = schedule.kv_blocks * schedule.block_tokens * each
        sizes = f"{2e-12 * weights * tokens:.1f} {read * each:.1f} {cache:.2f}"
        print(f"{name} {len(schedule.steps)} {tokens} {read} {sizes}")
    print(
        f"weights: {weights * VALUE_BYTES / 1e9:.2f} GB in {model.layers} layers", file=sys.stderr
    )


def needed_bytes(model: Model, kv_tokens: int) -> float:
    """Return bytes of weights and KV cache, without activations."""
    each = sum(a * b for a, b in model.gemms()) * VALUE_BYTES + kv_tokens * model.kv_bytes
    return model.layers * each + 2.0 * model.vocabulary * model.hidden * VALUE_BYTES


def run(
    torch: Any, model: Model, schedules: dict[str, Schedule], digests: dict[str, str], args: Any
) -> int:
    """Run what the file lacks until the time is up; return how many steps are left."""
    about = about_dry(torch) if args.dry_run else about_gpu(torch)
    device, dtype = ("cpu", torch.float32) if args.dry_run else ("cuda", torch.bfloat16)
    error = check_decode(torch, args.attention, device, dtype)
    print(f"decode attention agrees with float64 within {error:.1e}", flush=True)
    pages = max(schedule.kv_blocks for schedule in schedules.values())
    block = next(iter(schedules.values())).block_tokens
    _check_memory(torch, model, pages * block, args)
    decoder = Decoder(torch, model, pages, block, device, dtype, args.attention)

    def maker_of(given: Pages) -> PartMaker:
        return PartMaker(torch, given, model.vocabulary, device)

    same = {"model": args.model, "layers": model.layers, "attention": args.attention}
    lengths = {name: len(schedule.steps) for name, schedule in schedules.items()}
    wanted = list(units(lengths, tuple(args.modes), args.repeats, args.segment))
    done = {_unit_of(row, same, digests, args) for row in rows_of_this(args.out, FORMAT, about)}
    todo = [unit for unit in wanted if unit not in done]
    left = sum(min(args.segment, lengths[u.order] - u.first) for u in todo)
    began, finished = time.monotonic(), 0
    for at, unit in enumerate(todo):
        steps = min(args.segment, lengths[unit.order] - unit.first)
        each = (time.monotonic() - began) / finished if finished else 0.0
        if time.monotonic() - began + 1.5 * each * steps > args.seconds:
            return left
        parts = prepared(maker_of, schedules[unit.order], pages, unit.first, steps, unit.mode)
        if at == 0:
            timed(torch, decoder, parts, unit.mode)  # warms kernels and allocators
        row = {"format": FORMAT, "version": VERSION, **about, **same, **vars(unit)}
        row |= {"segment": args.segment, "schedule": digests[unit.order]}
        row |= {"steps": lengths[unit.order], "tokens": schedules[unit.order].tokens}
        row["simulated_ms"] = simulated_ms(schedules[unit.order].steps, unit.first, steps)
        append(args.out, row | timed(torch, decoder, parts, unit.mode) | {"when": time.time()})
        finished, left = finished + steps, left - steps
        eta = (time.monotonic() - began) / finished * left
        print(f"{at + 1}/{len(todo)} {unit}; {eta:.0f} s left", flush=True)
    return left


def _unit_of(row: dict[str, Any], same: dict[str, Any], digests: dict[str, str], args: Any) -> Unit:
    """Return what a row holds.

    Raises:
        ValueError: it was measured with other words than these.
    """
    words = {**same, "segment": args.segment, "schedule": digests.get(row["order"])}
    for name, value in words.items():
        if value is not None and row.get(name) != value:
            told = f"{name} = {row.get(name)!r}, now it is {value!r}"
            raise ValueError(f"{args.out} has {told}; give another --out")
    return Unit(row["repeat"], row["first"], row["order"], row["mode"])


def _check_memory(torch: Any, model: Model, kv_tokens: int, args: Any) -> None:
    needed = needed_bytes(model, kv_tokens)
    if not args.dry_run and needed > 0.9 * (free := torch.cuda.mem_get_info()[0]):
        fit = int(model.layers * 0.9 * free / needed)
        sizes = f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} are free"
        raise ValueError(f"{sizes}; --layers {max(1, fit)} would do, or fewer KV blocks")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    shape = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser("on_gpu engine", description=__doc__, formatter_class=shape)
    made.add_argument("--schedules", type=Path, nargs="+", required=True, help="one per order")
    made.add_argument("--out", type=Path, default=Path("engine.jsonl"), help="file to append to")
    made.add_argument("--model", help=f"the schedules'; config.json, or {', '.join(MODELS)}")
    made.add_argument("--layers", type=int, help="as many of its layers; all by default")
    made.add_argument("--modes", nargs="+", choices=MODES, default=[*MODES])
    made.add_argument("--attention", choices=KINDS, help="triton; gather on the CPU")
    made.add_argument("--repeats", type=int, default=5, help="of every step; 5")
    made.add_argument("--segment", type=int, default=64, help="steps before the turn changes; 64")
    made.add_argument("--seconds", type=float, default=420.0, help="most that a call takes; 420")
    made.add_argument("--plan", action="store_true", help="print amounts of work and stop")
    made.add_argument("--dry-run", action="store_true", help="tiny, on the CPU; no measurement")
    return made


def _read(paths: list[Path]) -> tuple[dict[str, Schedule], dict[str, str]]:
    schedules: dict[str, Schedule] = {}
    digests = {}
    for path in paths:
        found = read_schedule(path)
        if found.order in schedules:
            raise ValueError(f"{path}: another schedule is of order {found.order!r} too")
        schedules[found.order] = found
        digests[found.order] = hashlib.sha256(path.read_bytes()).hexdigest()
    if len({schedule.block_tokens for schedule in schedules.values()}) > 1:
        raise ValueError("--schedules: all must have blocks of the same size")
    if len({schedule.model for schedule in schedules.values()}) > 1:
        raise ValueError("--schedules: all must be of the same model")
    return schedules, digests


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parser().parse_args(words)
    if min(args.repeats, args.segment) < 1 or not args.seconds > 0:
        print("--repeats, --segment and --seconds must be positive", file=sys.stderr)
        return 2
    try:
        schedules, digests = _read(args.schedules)
        meant = "tiny" if args.dry_run else next(iter(schedules.values())).model
        args.model = args.model or meant
        args.attention = args.attention or ("gather" if args.dry_run else "triton")
        model = model_of(args.model, args.layers)
        if args.plan:
            show_plan(model, schedules)
            return 0
        import torch

        if not args.dry_run and not torch.cuda.is_available():
            raise RuntimeError("CUDA is not here: an NVIDIA GPU is needed (or --dry-run)")
        with torch.inference_mode():
            left = run(torch, model, schedules, digests, args)
    except ImportError as error:
        print(f"{error}: pip install torch (2.6 or later, with CUDA)", file=sys.stderr)
        return 2
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{left} steps are left: the same command goes on" if left else "all steps are there")
    return 3 if left else 0
