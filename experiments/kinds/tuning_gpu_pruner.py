"""Run kind `tuning-gpu-pruner`: what measuring only the model's first k candidates would lose.

The measurements are a file of CUTLASS's profiler (`cutlass_profiler --output`), which stays where
the user has it: in the folder of external data, or anywhere by its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_gpu_config import GpuConfig, own_fields
from experiments.paths import data_root

FOLDER = "cutlass-profiler"
FIRST = (1, 3, 8)
PUBLIC = {
    "resnet50-fp16.csv": "conv2d/resnet50_cutlass_profiler_result.csv",
    "resnet50-fp32-sums.csv": "conv2d/resnet50_cutlass_profiler_result_fp16_fp32_accum.csv",
}
"""Our name of a public file -> its path in github.com/masahi/tvm-cutlass-eval, which states no
licence: it is read where a user has it, and is no part of this project."""


class PrunerConfig(GpuConfig):
    """Configuration of `tuning-gpu-pruner`."""

    file: str = Field(
        min_length=1,
        max_length=1000,
        description=f"A path, or a name in `{FOLDER}/` of the folder of external data.",
    )
    aligned: bool = Field(
        default=True, description="Only kernels with an operator's widest access."
    )
    sha256: str | None = Field(default=None, description="Filled in when resolved.")


def _path(name: str) -> Path:
    path = Path(name)
    return path if path.is_file() else data_root() / FOLDER / name


@register("tuning-gpu-pruner")
class TuningGpuPruner:
    """Ranks measured kernels by the model."""

    Config: ClassVar[type[PrunerConfig]] = PrunerConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        **{
            f"regret_{k}": f"1; best measured of the {k} predicted fastest over the best of all,"
            " geometric mean over operators; lower is better"
            for k in FIRST
        },
        **{f"worst_{k}": "1; the same, of the worst operator; lower is better" for k in FIRST},
        "random": "1; what a candidate drawn at random costs, geometric mean",
        "mean_error": "1; mean of |predicted / measured - 1|; lower is better",
        "operators": "operators in the file",
        "rows": "kernels that were used",
        "skipped": "rows that are no kernel of these templates, or did not succeed",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the file's digest if it is there; make a path absolute."""
        from serving.traces.catalog import digest

        path = _path(config["file"])
        settled = dict(config)
        if Path(config["file"]).is_file():
            settled["file"] = str(path.absolute())
        if path.is_file():
            settled["sha256"] = digest(path)
        return settled

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return what is absent, and where it is published."""
        name = config["file"]
        if config["sha256"] is not None:
            return ()
        where = f"; public: {PUBLIC[name]} of github.com/masahi/tvm-cutlass-eval"
        return (
            f"measurements {name}: not in {data_root() / FOLDER}; put a file of cutlass_profiler "
            f"there or give its path as `file`{where if name in PUBLIC else ''}",
        )

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Read, rank, compare.

        Raises:
            MeasurementsError: the file is none of the profiler's.
            ValueError: it is not the file with the digest that was resolved.
        """
        from serving.traces.catalog import digest
        from tuning.templates.cutlass.measured import read_measurements
        from tuning.templates.cutlass.regret import geometric_mean, groups

        wanted = PrunerConfig.model_validate(own_fields(config))
        path = _path(wanted.file)
        if not path.is_file() or digest(path) != wanted.sha256:
            raise ValueError(f"file: {path} is not the file with the digest {wanted.sha256}")
        where = wanted.setting(int(config["seed"]))
        found = read_measurements(path, where.gpu.arch)
        operators = groups(found.rows, where.gpu, wanted.aligned, where.constants)
        metrics: dict[str, Any] = {}
        for k in FIRST:
            each = [group.regret(k) for group in operators]
            metrics |= {f"regret_{k}": geometric_mean(each), f"worst_{k}": max(each)}
        metrics |= {
            "random": geometric_mean([group.spread for group in operators]),
            "mean_error": sum(group.mean_error for group in operators) / len(operators),
            "operators": len(operators),
            "rows": sum(len(group.measured) for group in operators),
            "skipped": sum(found.skipped.values()),
        }
        notes = [f"{count} rows left out: {why}" for why, count in found.skipped.items()]
        return Outcome(metrics, notes=notes)
