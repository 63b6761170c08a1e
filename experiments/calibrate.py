"""`triptych calibrate`: what a step of vLLM costs on this machine, as a hardware entry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from experiments.json_output import Json, print_json
from experiments.paths import results_root
from experiments.problems import InputError


def calibrate(
    model: Annotated[str, typer.Option(help="decoder with dummy weights: tiny or small")] = "small",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "float32",
    repeats: Annotated[int, typer.Option(min=1, max=100, help="turns of the judged pools")] = 5,
    scale: Annotated[float, typer.Option(min=0.1, max=20, help="of the pools' sizes")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="of the pools")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="default: results/hardware/MODEL-DTYPE.json")
    ] = None,
    json: Json = False,
) -> None:
    """Measure steps of real vLLM here, fit their cost, and judge it on pools not fitted to.

    Times are CPU times of vLLM's process with one thread; a quiet machine gives the best fit.
    """
    from policies.registry import UnknownNameError
    from serving.vllm.entry import entry_of, write_entry
    from serving.vllm.judge import calibrate as measure
    from serving.vllm.model import dummy_named
    from serving.vllm.process import VllmError

    def say(line: str) -> None:
        print(f"calibrate: {line}", file=sys.stderr, flush=True)

    path = out or results_root() / "hardware" / f"{model}-{dtype}.json"
    try:
        shape = dummy_named(model)
        found = measure(shape, repeats=repeats, seed=seed, scale=scale, dtype=dtype, say=say)
    except (UnknownNameError, ValueError) as error:
        raise InputError(str(error)) from None
    except (VllmError, RuntimeError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    entry = entry_of(found, path.stem, model, dtype)
    write_entry(path, entry)
    if json:
        print_json(entry | {"file": str(path)})
        return
    for one in found.judged:
        low, high = min(one.measured_s), max(one.measured_s)
        print(
            f"{one.name}: predicted {one.predicted_s:.2f} s, measured {one.middle_s:.2f} s"
            f" [{low:.2f}, {high:.2f}] of CPU time: {100 * one.error:+.1f} %"
        )
    print(f"{path}: {found.fit.steps} steps, worst error {100 * found.worst_error:.1f} %")
