"""Builds, checks and times the CUDA sources of a plan; needs nvcc and PyTorch >= 2.6, no more.

    python measure.py [FOLDER] [--seconds 450] [--build-only] [--compile] [--jobs N]

FOLDER holds this script, `bench.py`, `plan.json`, the sources, and CUTLASS's headers in
`cutlass.tar.gz` (or --cutlass DIR). Results are appended to `measurements.jsonl`; what is there is
not done again, so the script is called until it says that nothing is left. A kernel that takes the
process down is told by its `started` line without a result, and is not run again.

Times are of CUDA graphs between two events. Each graph calls the kernel once per set of operands,
and the sets together are larger than twice the L2 cache; a rival's graph is made in the same way.
Operands are random; results are compared with a reference in float64.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import json
import os
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SCHEMA = 1
PARTS = ("include", "tools/util/include", "examples/13_two_tensor_op_fusion")
AGAIN, NO_GPU = 3, 2


class StopError(Exception):
    """There is nothing to be done here; the message says why."""


class Results:
    """The file of results: what is in it is done."""

    def __init__(self, path: Path) -> None:
        self.path, self.done, self.started = path, set(), set()
        for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
            try:
                row = json.loads(line)
                place = (row["problem"], row["name"])
            except (ValueError, KeyError, TypeError):  # torn by a crash, or the machine's line
                continue
            (self.started if row["status"] == "started" else self.done).add(place)

    def add(self, **row: Any) -> None:
        """Append a line and force it to the disk: the next call may take the process down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def crashed(self) -> set[tuple[str, str]]:
        """Return what was started by an earlier call and never ended."""
        return self.started - self.done


def load_plan(folder: Path) -> dict[str, Any]:
    """Return the plan; StopError if there is none that this script knows."""
    try:
        plan = json.loads((folder / "plan.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StopError(f"{folder}/plan.json cannot be read: {error}") from None
    if not isinstance(plan, dict) or plan.get("schema") != SCHEMA:
        raise StopError(f"{folder}/plan.json is no plan of schema {SCHEMA}")
    return plan


def headers(folder: Path, given: str | None) -> Path:
    """Return the folder that holds CUTLASS, unpacked first if need be."""
    if given:
        return Path(given)
    place, packed = folder / "cutlass", folder / "cutlass.tar.gz"
    if not place.is_dir():
        if not packed.is_file():
            raise StopError(f"no CUTLASS in {folder}: give --cutlass, or export with headers")
        with tarfile.open(packed) as archive:
            archive.extractall(folder / "cutlass.part", filter="data")
        (folder / "cutlass.part").rename(place)
    return place


def build(folder: Path, plan: dict, cutlass: Path, nvcc: str, jobs: int, deadline: float) -> dict:
    """Compile what has no object yet; return unit -> complaint of those without one."""
    search = [f"-I{cutlass / part}" for part in PARTS]

    def one(unit: dict) -> str:
        source = folder / unit["file"]
        made, part = source.with_suffix(".so"), source.with_suffix(".part")
        if made.is_file():
            return ""
        left = deadline - time.monotonic()
        if left < 5:
            return "out of time"
        command = [nvcc, *unit["flags"], *search, str(source), "-o", str(part)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            return "out of time"
        except OSError as error:
            raise StopError(f"{nvcc} cannot be run: {error}") from None
        source.with_suffix(".log").write_text(done.stderr + done.stdout, "utf-8")
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no object"]
            return lines[0][:300]
        part.rename(made)
        return ""

    with ThreadPoolExecutor(jobs) as pool:
        told = list(pool.map(one, plan["units"]))
    return {u["file"]: why for u, why in zip(plan["units"], told, strict=True) if why}


def load(folder: Path, plan: dict, faults: dict) -> dict[str, ctypes.CDLL]:
    """Return symbol -> loaded unit, for the units that compiled."""
    found = {}
    for unit in plan["units"]:
        if unit["file"] not in faults:
            library = ctypes.CDLL(str((folder / unit["file"]).with_suffix(".so").resolve()))
            found |= dict.fromkeys(unit["kernels"], library)
    return found


def machine(nvcc: str, plan: dict) -> dict[str, Any]:
    """Return what the results hold for: versions, the GPU and its clocks."""
    import torch

    def told(*command: str) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip()

    query = "name,driver_version,clocks.max.sm,clocks.max.memory,power.limit,ecc.mode.current"
    version = (told(nvcc, "--version").splitlines() or [""])[-1]
    found = {"problem": "", "name": "machine", "status": "machine", "toolchain": version}
    found |= {"version": plan["version"], "torch": torch.__version__, "cuda": torch.version.cuda}
    found["at"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        found |= {"gpu": facts.name, "capability": f"{facts.major}.{facts.minor}"}
        found |= {"sms": facts.multi_processor_count, "l2_bytes": facts.L2_cache_size}
        found |= {"cudnn": torch.backends.cudnn.version()}
        found["nvidia_smi"] = told("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader")
    return found


def check(plan: dict, units: dict[str, ctypes.CDLL], results: Results) -> None:
    """Ask every kernel whether it can compute its problem; no GPU is needed for that."""
    from bench import Kernel

    refused = 0
    for problem in plan["problems"]:
        for row in problem["candidates"]:
            if row["symbol"] in units and Kernel(units[row["symbol"]], row).status:
                print(f"{problem['text']}: {row['name']} is refused by CUTLASS")
                refused += 1
    print(f"checked: {refused} candidates are refused by CUTLASS's own can_implement")


def measure(plan: dict, units: dict, faults: dict, results: Results, args: Any) -> int:
    """Check and time what is not done; return how many are left when time is up."""
    import torch
    from bench import Bench, Kernel, rivals

    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    crashed, left = results.crashed(), 0
    for problem in plan["problems"]:
        rows = {row["name"]: row for row in problem["candidates"]}
        names = [*rows, *(f"rival:{name}" for name in problem["rivals"])]
        names = [n for n in names if args.compile or n != "rival:compile"]
        todo = [n for n in names if (problem["id"], n) not in results.done]
        bench = None
        for name in todo:
            place, start = {"problem": problem["id"], "name": name}, time.monotonic()
            if start > args.deadline:
                left += 1
                continue
            if (problem["id"], name) in crashed:
                results.add(**place, status="crashed", message="took the process down")
                continue
            row = rows.get(name)
            if row and row["symbol"] not in units:
                why = faults.get(row["file"], "no object")
                if why != "out of time":
                    results.add(**place, status="compile_error", message=why)
                else:
                    left += 1
                continue
            results.add(**place, status="started")
            bench = bench or Bench(problem, l2_bytes)
            try:
                if row:
                    told = bench.kernel(row, Kernel(units[row["symbol"]], row))
                elif name[6:] in rivals(problem, bench.sets[0], args.compile):
                    told = bench.rival(name[6:], args.compile)
                else:
                    told = {"status": "rejected", "message": "PyTorch has none"}
            except (RuntimeError, NotImplementedError, AttributeError) as error:
                told = {"status": "crashed", "message": str(error)[:300]}
            results.add(**place, **told, measure_s=round(time.monotonic() - start, 3))
            if "CUDA error" in told.get("message", ""):
                raise StopError("a kernel broke the CUDA context: call again, it is left out then")
    return left


def main() -> int:
    """Do what there is time for; return 0 if nothing is left."""
    parser = argparse.ArgumentParser(description="Build, check and time a plan.")
    parser.add_argument("folder", nargs="?", default=Path(__file__).parent, type=Path)
    parser.add_argument("--seconds", type=float, default=450.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--cutlass")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile, max-autotune, too")
    args = parser.parse_args()
    args.deadline = time.monotonic() + args.seconds
    try:
        plan = load_plan(args.folder)
        results = Results(args.folder / "measurements.jsonl")
        cutlass = headers(args.folder, args.cutlass)
        faults = build(args.folder, plan, cutlass, args.nvcc, args.jobs, args.deadline)
        for file, why in faults.items():
            print(f"{file}: {why}")
        print(f"built: {len(plan['units']) - len(faults)} of {len(plan['units'])} units")
        units = load(args.folder, plan, faults)
        if args.build_only:
            check(plan, units, results)
            return AGAIN if "out of time" in faults.values() else 0
        import torch

        if not torch.cuda.is_available():
            print("no NVIDIA GPU: PyTorch sees none; --build-only does what needs none")
            return NO_GPU
        results.add(**machine(args.nvcc, plan))
        left = measure(plan, units, faults, results, args)
    except StopError as stop:
        print(stop)
        return 1
    print(f"{left} measurements are left: call again" if left else "nothing is left")
    return AGAIN if left else 0


if __name__ == "__main__":
    sys.exit(main())
