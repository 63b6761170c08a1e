"""Measure how much of decode attention hides behind GEMMs on this GPU, and the other way round.

    python -m on_gpu overlap --plan                 # the points; no GPU is needed
    python -m on_gpu overlap --out overlap.jsonl    # 7 minutes at most; the same again goes on
    python -m on_gpu overlap --dry-run              # the same code on a CPU, tiny

One point is the GEMMs of one decoder layer (QKV, output, gate and up, down) for so many tokens,
and decode attention of one layer over so many requests and so long a KV cache. Both are done four
times in a row, with operands that rotate through far more memory than the L2 cache holds: alone
(T_comp, T_mem) and together on two CUDA streams (T_both), with equal priorities and with attention
first. A kernel that only waits holds both streams back until all is queued, so that launches do
not count. Repeats take turns: T_comp, T_mem, T_both, T_comp, ... Kernels are checked against
float64 before anything is timed.

Every point is one JSON line with all repeats, in ms per layer. The hidden fraction is
(T_comp + T_mem - T_both) / min(T_comp, T_mem): 1 if the shorter part costs nothing, 0 if nothing
overlaps. Times of a dry run mean nothing.
Exit codes: 0 all points are there, 2 something is wrong, 3 points are left (start it again).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .clocks import PRIORITIES, REPEATS, ROUNDS, CudaClock, WallClock, measure
from .grid import USUAL_BALANCE, Point, balance_of, grid
from .kernels import Layer, check_kernels
from .rows import VERSION, about_dry, about_gpu, append, rows_of, rows_of_this
from .shapes import MODELS, VALUE_BYTES

FORMAT = "triptych-overlap"
MOST_SHARE = 0.125
"""Of the GPU's memory that one layer's KV cache may take."""


def hidden(row: dict[str, Any]) -> float:
    """Return the hidden fraction of a row: medians, the better of the two priorities."""
    c, m = statistics.median(row["compute_ms"]), statistics.median(row["memory_ms"])
    both = min(statistics.median(times) for times in row["both_ms"].values())
    return (c + m - both) / min(c, m)


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the hidden fraction's median and quartiles by ratio of the two parts."""
    regions: dict[str, list[float]] = {"compute longer": [], "alike": [], "memory longer": []}
    for row in rows:
        ratio = statistics.median(row["memory_ms"]) / statistics.median(row["compute_ms"])
        name = "compute longer" if ratio < 0.5 else "alike" if ratio <= 2 else "memory longer"
        regions[name].append(hidden(row))
    lines = []
    for name, found in regions.items():
        if len(found) > 1:
            low, middle, high = statistics.quantiles(found, n=4)
            lines.append(f"{name}: h = {middle:.2f} [{low:.2f}, {high:.2f}], {len(found)} points")
    return "\n".join(lines)


def run(torch: Any, points: list[Point], about: dict[str, Any], args: argparse.Namespace) -> int:
    """Measure what the file lacks until the time is up; return how many points are left."""
    dry, began = about["dry"], time.monotonic()
    device, dtype = ("cpu", torch.float32) if dry else ("cuda", torch.bfloat16)
    print(
        f"kernels agree with float64 within {check_kernels(torch, device, dtype):.1e}", flush=True
    )
    done = {Point(**row["point"]) for row in rows_of_this(args.out, FORMAT, about)}
    todo = [point for point in points if point not in done]
    clock = WallClock() if dry else CudaClock(torch)
    values = max((4 * point.read_bytes for point in todo), default=0) // VALUE_BYTES
    if not dry:
        values = min(values, int(0.6 * torch.cuda.mem_get_info()[0]) // VALUE_BYTES)
    piece = torch.randn(1 << 20, device=device).to(dtype)
    arena = piece.repeat(max(1, -(-values // piece.numel())))
    for at, point in enumerate(todo):
        each = (time.monotonic() - began) / at if at else 0.0
        if time.monotonic() - began + 1.5 * each > args.seconds:
            return len(todo) - at
        layer = Layer(torch, point, arena, device, dtype)
        row = {"format": FORMAT, "version": VERSION, **about, "point": asdict(point)}
        row |= {"flop": point.flop, "read_bytes": point.read_bytes, "rounds": ROUNDS}
        row |= measure(clock, layer, args.repeats) | {"when": time.time()}
        append(args.out, row)
        left = each * (len(todo) - at - 1)
        print(f"{at + 1}/{len(todo)} {point}: h = {hidden(row):.2f}; {left:.0f} s left", flush=True)
    return 0


def show_plan(points: list[Point]) -> None:
    """Print every point with its operations and bytes."""
    print("model tokens decodes context Gflop MB_read")
    for p in points:
        sizes = f"{p.flop / 1e9:.1f} {p.read_bytes / 1e6:.1f}"
        print(f"{p.model} {p.tokens} {p.decodes} {p.context} {sizes}")
    print(f"{len(points)} points, {len(PRIORITIES)} priorities each", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    shape = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser("on_gpu overlap", description=__doc__, formatter_class=shape)
    made.add_argument("--out", type=Path, default=Path("overlap.jsonl"), help="file to append to")
    made.add_argument("--models", nargs="+", choices=[*MODELS], default=["llama-3-8b"])
    made.add_argument("--seconds", type=float, default=420.0, help="most that a call takes; 420")
    made.add_argument("--repeats", type=int, default=REPEATS, help=f"of each time; {REPEATS}")
    made.add_argument("--balance", type=float, help="flop per byte that places the points")
    made.add_argument("--plan", action="store_true", help="print the points and stop")
    made.add_argument("--dry-run", action="store_true", help="tiny, on the CPU; no measurement")
    return made


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parser().parse_args(words)
    positive = args.repeats >= 1 and args.seconds > 0 and (args.balance is None or args.balance > 0)
    if not positive:
        print("--repeats, --seconds and --balance must be positive", file=sys.stderr)
        return 2
    if args.plan:
        show_plan(grid(args.models, args.balance or USUAL_BALANCE))
        return 0
    try:
        import torch
    except ImportError:
        print("PyTorch is not here: pip install torch (2.6 or later, with CUDA)", file=sys.stderr)
        return 2
    if args.dry_run:
        about, points = about_dry(torch), grid(["tiny"], args.balance or 20.0, (4, 8), (8, 32))
    elif torch.cuda.is_available():
        about = about_gpu(torch)
        most = MOST_SHARE * torch.cuda.get_device_properties(0).total_memory
        points = grid(args.models, args.balance or balance_of(about["device"]), most_bytes=most)
    else:
        print(
            "CUDA is not here: this needs an NVIDIA GPU (--dry-run goes without)", file=sys.stderr
        )
        return 2
    try:
        left = run(torch, points, about, args)
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(summary(list(rows_of(args.out, FORMAT))))
    print(f"{left} points are left: the same command goes on" if left else "all points are there")
    return 3 if left else 0
