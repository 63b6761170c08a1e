"""The passes before and after tuning, as TVM's own pipeline for static shapes has them.

`relax.pipeline.static_shape_tuning_pipeline` with `cpu_weight_prepack`: constants are layout-free,
so that the schedule decides how they lie in memory and they are laid out once, ahead of time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm import IRModule


def lowered(found: IRModule, target: Any) -> IRModule:
    """Return `found` with its operators fused into functions that can be tuned."""
    from tvm import transform
    from tvm.relax import get_pipeline
    from tvm.relax import transform as passes

    with target:
        return transform.Sequential(
            [
                passes.DecomposeOpsForInference(),
                passes.CanonicalizeBindings(),
                get_pipeline("zero"),
                passes.AttachAttrLayoutFreeBuffers(),
            ]
        )(found)


def scheduled(found: IRModule, target: Any, database: Path) -> IRModule:
    """Return `found` with the best schedules on record, and `main_transform_params` beside."""
    from tvm import transform
    from tvm.relax import transform as passes

    with target:
        return transform.Sequential(
            [
                passes.MetaScheduleApplyDatabase(str(database)),
                passes.SplitLayoutRewritePreproc(),
                passes.LiftTransformParams(),
                passes.FoldConstant(),
            ]
        )(found)


def export(found: IRModule, target: Any, path: Path) -> None:
    """Compile a scheduled module into the shared object `path`."""
    from tvm import compile as build

    build(found, target).export_library(str(path))
