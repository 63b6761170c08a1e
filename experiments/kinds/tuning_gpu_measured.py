"""Run kind `tuning-gpu-measured`: templates on a real GPU, as the exported script measured them.

`python -m tuning.templates.cutlass.export FOLDER` writes what a machine with a GPU builds, checks
and times; this kind reads that folder once `measure.py` has run there. Without it, claims need
hardware.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_gpu_config import GpuConfig, own_fields
from experiments.kinds.tuning_shapes import Shape
from experiments.paths import data_root

FOLDER = "gpu-measurements"
FILES = ("plan.json", "measurements.jsonl")
RIVALS = {
    "vendor": "the vendor's library, the epilogue after it",
    "cublaslt": "cuBLASLt with its own fused epilogue",
    "compile": "torch.compile with max-autotune",
}


class MeasuredConfig(GpuConfig):
    """Configuration of `tuning-gpu-measured`."""

    operator: Shape
    folder: str = Field(
        min_length=1,
        max_length=1000,
        description=f"A path, or a name in `{FOLDER}/` of the folder of external data.",
    )
    sha256: str | None = Field(default=None, description="Filled in when resolved.")


def _path(name: str) -> Path:
    path = Path(name)
    return path if path.is_dir() else data_root() / FOLDER / name


def _digest(folder: Path) -> str | None:
    """Return one digest of the plan and the results, None if either is absent."""
    whole = hashlib.sha256()
    for name in FILES:
        if not (folder / name).is_file():
            return None
        whole.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return whole.hexdigest()


@register("tuning-gpu-measured")
class TuningGpuMeasured:
    """Compares the best template with the vendor's libraries, and the simulator with both."""

    Config: ClassVar[type[MeasuredConfig]] = MeasuredConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "ours_us": "us; one call of the fastest template, measured; lower is better",
        **{f"{name}_us": f"us; {text}; null if not timed" for name, text in RIVALS.items()},
        **{f"speedup_over_{name}": f"1; {name}_us / ours_us; higher is better" for name in RIVALS},
        "simulated_us": "us; the same kernel by the simulator",
        "regret_3": "1; best measured of the 3 predicted fastest over the best of all",
        "measured": "kernels with a time",
        "failed": "kernels without one: not built, wrong, or cut off",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the digest if the results are there; make a path absolute."""
        settled = dict(config)
        if Path(config["folder"]).is_dir():
            settled["folder"] = str(Path(config["folder"]).absolute())
        settled["sha256"] = config.get("sha256") or _digest(_path(config["folder"]))
        return settled

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return `gpu` and how to have results, where there are none."""
        if config["sha256"] is not None:
            return ()
        return (
            "gpu",
            f"measurements {config['folder']}: not in {data_root() / FOLDER}; on a machine with the"
            " GPU run what `python -m tuning.templates.cutlass.export` writes, and put it there",
        )

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Read and compare.

        Raises:
            ValueError: the results are not those that were resolved, cannot be read, or have no
                time for the operator.
        """
        from tuning.space import best_of
        from tuning.templates.cutlass.imported import load

        wanted = MeasuredConfig.model_validate(own_fields(config))
        folder = _path(wanted.folder)
        if _digest(folder) != wanted.sha256:
            raise ValueError(f"folder: {folder} is not what it was when the run was planned")
        operator = wanted.operator.operator()
        found = [one for one in load(folder)[0] if one.operator == operator]
        best = best_of(found[0].kernels) if found else None
        if best is None:
            raise ValueError(f"folder: {folder} has no time for {operator.text()}")
        metrics: dict[str, Any] = {"ours_us": best.median_ns / 1e3}
        for name in RIVALS:
            time = found[0].rivals.get(name)
            metrics[f"{name}_us"] = None if time is None else time / 1e3
            metrics[f"speedup_over_{name}"] = found[0].ratio(name)
        metrics |= _predicted(wanted, found[0], int(config["seed"]))
        metrics["failed"] = len(found[0].kernels) - metrics["measured"]
        return Outcome(metrics, notes=[best.candidate.text()])


def _predicted(wanted: MeasuredConfig, found: Any, seed: int) -> dict[str, Any]:
    """Return what the simulator says of the kernels that have a time."""
    from tuning.templates.cutlass.estimate import estimate
    from tuning.templates.cutlass.params import Kernel
    from tuning.templates.cutlass.regret import regret

    where = wanted.setting(seed)
    timed = [one for one in found.kernels if one.ok]
    predicted = [
        estimate(
            *(found.operator, Kernel.from_candidate(one.candidate), where.gpu),
            constants=where.constants,
        ).seconds
        for one in timed
    ]
    measured = [one.median_ns / 1e9 for one in timed]
    least = min(range(len(timed)), key=lambda place: measured[place])
    return {
        "simulated_us": 1e6 * predicted[least],
        "regret_3": regret(predicted, measured, 3),
        "measured": len(timed),
    }
