"""From an imported model to one shared object for an NVIDIA GPU (Bolt section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.compile import ObjectCache
from tuning.graph.gpu.choose import simulated_options, simulated_tuner
from tuning.graph.gpu.codegen import Linker
from tuning.graph.gpu.half import Call, in_half, kernels_of
from tuning.graph.layout import to_nhwc
from tuning.graph.options import Decision, GraphOptions, Layer, Tuner
from tuning.graph.partition import partition
from tuning.graph.select import select, tuned_once
from tuning.operators import Operator
from tuning.templates.cutlass.library import COMPILE_TIMEOUT_S, CutlassTemplates
from tuning.templates.cutlass.params import Kernel

if TYPE_CHECKING:
    import tvm


@dataclass(frozen=True)
class GpuModel:
    """A model that was built for a GPU.

    Attributes:
        path: the shared object; `tvm.runtime.load_module` loads it, a `VirtualMachine` on
            `tvm.cuda()` runs it.
        calls: symbol -> kernel call of every distinct operator.
        layers: the calls in order of execution.
        decisions: which pairs were fused and which channels padded, and why.
        left: operators that TVM computes, for want of a kernel, and why.
    """

    path: Path
    calls: Mapping[str, Call]
    layers: list[Layer]
    decisions: list[Decision]
    left: Mapping[Operator, str]


def optimise_gpu(
    module: tvm.IRModule,
    library: CutlassTemplates,
    path: Path,
    tuner: Tuner | None = None,
    options: GraphOptions | None = None,
    objects: ObjectCache | None = None,
) -> GpuModel:
    """Build a model for a GPU and write it to `path`.

    Args:
        module: from `import_torch`, in float32.
        library: whose kernels are taken; its precision must be float16 throughout.
        path: of the shared object.
        tuner: names each operator's kernel; the kernel simulator if None.
        options: which passes run; those of the simulator if None.
        objects: cache of compiled sources; the default one if None.

    Raises:
        GraphError: the model cannot be built; the message says why.
        NothingMeasuredError: no operator has a kernel.
        NoHeadersError: CUTLASS's headers are not here.
        ValueError: the library computes in another type than float16.
    """
    if (library.precision.element, library.precision.output) != ("float16", "float16"):
        raise ValueError("library: graphs are built in float16")
    ask = tuned_once(tuner or simulated_tuner(library))
    options = options or simulated_options(library)
    parts = partition(to_nhwc(module), epilogues=options.fuse_epilogues)
    chosen = select(parts, ask, options)
    kernels = {
        layer.operator: Kernel.from_candidate(layer.best.candidate) for layer in chosen.layers
    }
    calls = kernels_of(chosen.module, kernels)
    executable = _compile(in_half(chosen.module, calls), library.arch, calls)
    cache = objects or ObjectCache(timeout_s=COMPILE_TIMEOUT_S)
    executable.export_library(str(path), fcompile=Linker(calls, cache))
    return GpuModel(path, calls, chosen.layers, chosen.decisions, chosen.left)


def _compile(module: tvm.IRModule, arch: str, calls: Mapping[str, Call]) -> Any:
    import tvm

    target = tvm.target.Target({"kind": "cuda", "arch": arch}, host="llvm")
    return tvm.compile(module, target)
