"""Takes what `measure.py` wrote on a machine with a GPU back into the records, and compares.

    python -m tuning.templates.cutlass.imported FOLDER [--records FILE]

The files come from another machine: each line is checked, and what is no result is counted.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.operators.base import Operator, operator_from_dict
from tuning.records import Records
from tuning.records.entry import STATUSES, RecordKey, canonical
from tuning.space import Candidate, Measurement, best_of
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import call

SCHEMA = 1
PLAN, RESULTS = "plan.json", "measurements.jsonl"
RIVAL = "rival:"
_WIDEST = 16


@dataclass(frozen=True)
class Measured:
    """What is known of one problem.

    Attributes:
        operator: the problem.
        machine: what the times hold for, as the script told it.
        kernels: one measurement per candidate that was tried.
        rivals: name -> median nanoseconds of PyTorch's ways of computing it.
        version: of the templates that the kernels were rendered by.
    """

    operator: Operator
    machine: Mapping[str, Any]
    kernels: tuple[Measurement, ...]
    rivals: Mapping[str, float]
    version: str

    def ratio(self, rival: str) -> float | None:
        """Return how many times faster the best kernel is; None if either has no time."""
        best = best_of(self.kernels)
        if best is None or rival not in self.rivals:
            return None
        return self.rivals[rival] / best.median_ns


def load(folder: Path) -> tuple[list[Measured], int]:
    """Return the measured problems and the number of lines that are no results.

    Raises:
        ValueError: the plan or the results cannot be read, or belong to no machine.
    """
    plan = _plan(folder / PLAN)
    try:
        lines = (folder / RESULTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ValueError(f"{folder / RESULTS}: {error.strerror}") from None
    problems = {problem["id"]: problem for problem in plan["problems"]}
    machine: Mapping[str, Any] = {}
    found: dict[str, dict[str, Measurement | float]] = {}
    strange = 0
    for line in lines:
        row = _row(line)
        if row is not None and row["status"] == "machine":
            machine = row
        elif row is not None and row["problem"] in problems:
            told = _result(problems[row["problem"]], row)
            if told is not None:
                found.setdefault(row["problem"], {})[row["name"]] = told
        else:
            strange += 1
    if found and not isinstance(machine.get("gpu"), str):
        raise ValueError(f"{folder / RESULTS}: names no GPU")
    return [_measured(problems[p], r, machine, plan["version"]) for p, r in found.items()], strange


def _measured(
    problem: dict[str, Any],
    rows: Mapping[str, Measurement | float],
    machine: Mapping[str, Any],
    version: str,
) -> Measured:
    kernels = tuple(told for told in rows.values() if isinstance(told, Measurement))
    rivals = {n[len(RIVAL) :]: t for n, t in rows.items() if isinstance(t, float)}
    operator = operator_from_dict(problem["operator"])
    return Measured(operator, machine, kernels, rivals, version)


def _plan(path: Path) -> dict[str, Any]:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(plan, dict) or plan.get("schema") != SCHEMA:
        raise ValueError(f"{path}: no plan of schema {SCHEMA}")
    return plan


def _row(line: str) -> dict[str, Any] | None:
    """Return a line's values if they are those of a result."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    words = ("problem", "name", "status")
    if not isinstance(row, dict) or any(not isinstance(row.get(word), str) for word in words):
        return None
    return row


def _result(problem: dict[str, Any], row: dict[str, Any]) -> Measurement | float | None:
    """Return a kernel's measurement, a rival's time, or None for what is neither."""
    times = [row.get(name, 0.0) for name in ("median_ns", "low_ns", "high_ns", "measure_s")]
    if not all(isinstance(t, int | float) and math.isfinite(t) and t >= 0 for t in times):
        return None
    median, low, high, seconds = map(float, times)
    if row["status"] == "ok" and not median > 0:
        return None
    if row["name"].startswith(RIVAL):
        return median if row["status"] == "ok" else None
    planned = {one["name"]: one["candidate"] for one in problem["candidates"]}
    if row["name"] not in planned or row["status"] not in STATUSES:
        return None
    samples = row.get("samples", 0)
    message = row.get("message", "")
    return Measurement(
        Candidate.from_dict(planned[row["name"]]),
        row["status"],
        *((median, low, high) if row["status"] == "ok" else (0.0, 0.0, 0.0)),
        samples=samples if isinstance(samples, int) else 0,
        measure_s=seconds,
        message=message if isinstance(message, str) else "",
    )


def key_of(measured: Measured, candidate: Candidate) -> RecordKey:
    """Return the key under which a measurement is recorded.

    Raises:
        ValueError: the candidate is no kernel of the templates.
    """
    kernel = Kernel.from_candidate(candidate)
    tensors = call.arguments_of(measured.operator, kernel)
    return RecordKey(
        operator=canonical(measured.operator.to_dict()),
        dtypes=" ".join(f"{tensor.name}={tensor.dtype}" for tensor in tensors),
        layouts="NHWC OHWI NHWC" if "conv" in kernel.family else f"{kernel.layout} row-major",
        alignment=math.gcd(_WIDEST, *(tensor.shape[-1] for tensor in tensors)),
        library="cutlass",
        version=measured.version,
        toolchain=str(measured.machine.get("toolchain", "")),
        device=f"{measured.machine['gpu']} {kernel.arch}",
        threads=1,
        cache="cold",
        checked=True,
    )


def record(found: Sequence[Measured], records: Records) -> int:
    """Append every kernel's measurement to the records; return how many.

    Raises:
        RecordsError: the file cannot be written.
        ValueError: a candidate is no kernel of the templates.
    """
    count = 0
    for measured in found:
        for measurement in measured.kernels:
            records.append(key_of(measured, measurement.candidate), [measurement])
            count += 1
    return count


def table(found: Sequence[Measured]) -> Iterator[str]:
    """Yield a line per problem: the best kernel, and how it stands beside its rivals."""
    for measured in found:
        best = best_of(measured.kernels)
        told = f"{best.median_ns / 1e3:9.2f} us" if best else "   no time"
        ratios = (f"{name} {measured.ratio(name):.3f}x" for name in measured.rivals if best)
        yield f"{told}  {measured.operator.text()}  {', '.join(ratios)}"
    names = dict.fromkeys(name for measured in found for name in measured.rivals)
    for name in names:
        ratios = [r for measured in found if (r := measured.ratio(name)) is not None]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            yield f"geometric mean over {name}: {mean:.3f}x ({len(ratios)} problems)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison and, if asked, record; return 0, or 1 with a message."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=Path)
    args = parser.parse_args(arguments)
    try:
        found, strange = load(args.folder)
        print("\n".join(table(found)))
        if args.records:
            print(f"{record(found, Records(args.records))} measurements recorded")
    except (ValueError, OSError) as error:
        print(f"imported: {error}", file=sys.stderr)
        return 1
    if strange:
        print(f"{strange} lines are no results", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
