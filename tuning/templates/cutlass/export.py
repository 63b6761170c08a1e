"""Writes what a machine with a GPU builds, checks and times: sources, a plan, two scripts.

    python -m tuning.templates.cutlass.export FOLDER --gpu h200 --problems gemm conv pairs

The folder needs nothing of this project where it is run: `python measure.py` there, nvcc and
PyTorch are enough. `imported.py` takes the results back into the records.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuning.operators import Conv2d, Operator, Pair
from tuning.templates.cutlass import headers
from tuning.templates.cutlass.library import CutlassTemplates, units
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import HALF, Precision, halves, problem_of
from tuning.templates.cutlass.problems import SETS, problems
from tuning.templates.cutlass.render import call, unit

SCHEMA = 1
SCRIPTS = Path(__file__).resolve().parent / "standalone"
RIVALS = ("vendor", "cublaslt", "cudnn_relu", "int_mm", "compile")
HALF_ULP = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}
"""Half a unit in the last place, relative."""
_ACTIVATION_ERROR = 4e-6
"""What an epilogue's float32 code may add; see `tuning.operators.reference`."""
_INTEGER_STD = math.sqrt(24.0)
"""Standard deviation of whole numbers from -8 to 8."""
_OUTPUT_STD = 24.0
"""Of int8 outputs, about: some are beyond the type's ends and must stop there."""


def export(
    folder: Path,
    libraries: Sequence[CutlassTemplates],
    operators: Sequence[Operator],
    most: int,
    with_headers: bool = True,
) -> dict[str, Any]:
    """Write the folder and return the plan.

    Args:
        folder: made if it is not there; a plan in it is replaced, results stay.
        libraries: whose candidates are measured, one per target of nvcc.
        operators: the problems.
        most: candidates per problem and library, those that the simulator prefers.
        with_headers: whether CUTLASS goes along, 2.5 MB packed.

    Raises:
        NoHeadersError: the headers are to go along and are not here.
        ValueError: no library has a candidate for a problem.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {operator: _chosen(operator, libraries, most) for operator in operators}
    kernels = {unit.symbol(k): k for picked in chosen.values() for k in picked}
    files, told = {}, []
    for group in units(list(kernels.values())):
        source, names = unit.render(group), [unit.symbol(kernel) for kernel in group]
        name = f"unit_{hashlib.sha256(source.digest.encode()).hexdigest()[:12]}.cu"
        (folder / name).write_text(source.text, encoding="utf-8")
        told.append({"file": name, "flags": list(source.flags), "kernels": names})
        files |= dict.fromkeys(names, name)
    plan = {
        "schema": SCHEMA,
        "version": unit.version(),
        "units": told,
        "problems": [_problem(operator, picked, files) for operator, picked in chosen.items()],
    }
    (folder / "plan.json").write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    for script in SCRIPTS.glob("*.py"):
        shutil.copy(script, folder / script.name)
    if with_headers:
        with tarfile.open(folder / "cutlass.tar.gz", "w:gz") as archive:
            for part in headers.PARTS:
                archive.add(headers.root() / part, arcname=part)
    return plan


def _chosen(operator: Operator, libraries: Sequence[CutlassTemplates], most: int) -> list[Kernel]:
    found = []
    for library in libraries:
        native = library.native(operator)
        ranked = sorted(native, key=lambda c: library.estimate_s(operator, c))
        found += [Kernel.from_candidate(candidate) for candidate in ranked[:most]]
    if not found:
        raise ValueError(f"problems: no kernel for {operator.text()}")
    return found


def _problem(
    operator: Operator, kernels: Sequence[Kernel], files: dict[str, str]
) -> dict[str, Any]:
    first = kernels[0]
    precision = Precision(first.element, first.accumulate, first.output)
    alpha, scales = _scales(operator, precision)
    absolute, relative = tolerance(operator, precision)
    tensors = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "role": tensor.role,
            "scale": scales.get(tensor.name, 1.0),
        }
        for tensor in call.arguments_of(operator, first)
    ]
    told = json.dumps([operator.to_dict(), vars(precision)], sort_keys=True)
    return {
        "id": hashlib.sha256(told.encode()).hexdigest()[:16],
        "text": operator.text(),
        "operator": operator.to_dict(),
        **vars(precision),
        "alpha": alpha,
        "absolute": absolute,
        "relative": relative,
        "flops": operator.flops,
        "tensors": tensors,
        "parts": [_part(operator, place, first.layout) for place in range(len(halves(operator)))],
        "rivals": list(RIVALS),
        "candidates": [_candidate(operator, kernel, files) for kernel in kernels],
    }


def _candidate(operator: Operator, kernel: Kernel, files: dict[str, str]) -> dict[str, Any]:
    symbol = unit.symbol(kernel)
    return {
        "name": f"{symbol}/{kernel.split_k}",
        "told": kernel.name(),
        "symbol": symbol,
        "file": files[symbol],
        "sizes": list(call.sizes_of(operator, kernel)),
        "tensors": len(call.tensors_of(kernel)),
        "candidate": kernel.to_candidate().to_dict(),
    }


def _part(operator: Operator, place: int, layout: str) -> dict[str, Any]:
    """Return how PyTorch computes one product."""
    part = halves(operator)[place]
    tail = "1" if place else ""
    found = {
        "steps": list(part.epilogue.steps),
        "bias": f"bias{tail}",
        "residual": f"residual{tail}",
    }
    if isinstance(part, Conv2d):
        moves = {name: list(getattr(part, name)) for name in ("stride", "padding", "dilation")}
        return {"kind": "conv2d", "a": "x", "b": f"w{tail}", **moves, **found}
    return {"kind": "gemm", "a": "a", "b": f"b{tail}", "layout": layout, **found}


def _scales(operator: Operator, precision: Precision) -> tuple[float, dict[str, float]]:
    """Return alpha, and what weights are multiplied by so that outputs have variance about 1."""
    parts = halves(operator)
    if precision.element == "int8":
        return _OUTPUT_STD / (_INTEGER_STD**2 * math.sqrt(problem_of(parts[0]).k)), {}
    names = ("w", "w1") if isinstance(parts[0], Conv2d) else ("b", "b1")
    depths = [problem_of(part).k for part in parts]
    return 1.0, {name: k**-0.5 for name, k in zip(names, depths, strict=False)}


def tolerance(operator: Operator, precision: Precision) -> tuple[float, float]:
    """Return the absolute and relative error that rounding explains, as the CPU's templates do.

    Sums of k products in their type stray by about eps sqrt(k) times four (see
    `tuning.operators.reference.tolerance`); the output is rounded once. What a pair hands over may
    be rounded to the neighbour: each of the second's sums then strays by about as much again.
    """
    depth = sum(problem_of(part).k for part in halves(operator))
    if precision.output == "int8":
        return 0.5 + 1e-3, 0.0
    eps = 0.0 if precision.accumulate == "int32" else 2 * HALF_ULP[precision.accumulate]
    absolute = 4 * eps * math.sqrt(depth) + _ACTIVATION_ERROR * (
        _OUTPUT_STD if precision.element == "int8" else 1.0
    )
    if isinstance(operator, Pair):
        absolute += 8 * HALF_ULP[precision.element]
    if precision.output == "int32":
        return 0.5 + absolute, 1e-6
    return absolute, absolute + HALF_ULP[precision.output]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a folder; return 0, or 1 with a message if it cannot be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu", default="h200", help="as in sim.gpu.kernel_hardware")
    parser.add_argument("--arch", nargs="+", default=[], help="targets of nvcc; its own if none")
    parser.add_argument("--problems", nargs="+", default=["gemm"], help=", ".join(SETS))
    parser.add_argument("--most", type=int, default=8, help="candidates per problem and target")
    parser.add_argument("--element", default=HALF.element)
    parser.add_argument("--accumulate", default=HALF.accumulate)
    parser.add_argument("--output", default=HALF.output)
    parser.add_argument("--no-headers", action="store_true")
    args = parser.parse_args(arguments)
    precision = Precision(args.element, args.accumulate, args.output)
    try:
        targets = args.arch or [None]
        libraries = [CutlassTemplates(args.gpu, arch, precision) for arch in targets]
        plan = export(
            args.folder, libraries, problems(args.problems), args.most, not args.no_headers
        )
    except (ValueError, OSError, headers.NoHeadersError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    kernels = sum(len(one["kernels"]) for one in plan["units"])
    print(f"{len(plan['problems'])} problems, {kernels} kernels in {len(plan['units'])} units")
    print(f"there: python {args.folder}/measure.py, until nothing is left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
