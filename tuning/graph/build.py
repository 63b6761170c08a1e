"""From an imported model to one that runs: the passes in order (Bolt section 3)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tuning.compile import ObjectCache
from tuning.graph.codegen import generating
from tuning.graph.copies import copy_of
from tuning.graph.functions import operator_of, symbol_of
from tuning.graph.layout import to_nhwc
from tuning.graph.link import export
from tuning.graph.model import BuiltModel, Contents, Seconds
from tuning.graph.options import GraphOptions, Tuner
from tuning.graph.partition import partition
from tuning.graph.patterns import PREFIX
from tuning.graph.select import select, tuned_once
from tuning.graph.walk import shape_of
from tuning.graph.weights import Packer, lift_weights
from tuning.templates.base import TemplateLibrary

if TYPE_CHECKING:
    import tvm

_CPUS = {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "generic": "x86-64"}
"""What LLVM is told; TVM rejects `native`."""


@dataclass
class _Clock:
    seconds: Seconds = field(default_factory=Seconds)
    last: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        now = time.monotonic()
        setattr(self.seconds, name, getattr(self.seconds, name) + now - self.last)
        self.last = now


def optimise(
    module: tvm.IRModule,
    tuner: Tuner,
    library: TemplateLibrary,
    options: GraphOptions | None = None,
    objects: ObjectCache | None = None,
) -> BuiltModel:
    """Return the model, tuned and built.

    Args:
        module: from `import_torch`.
        tuner: asked once per distinct operator; it says which candidate is built in.
        library: renders the candidates that `tuner` names.
        options: which passes run; all but pairs and padding if None.
        objects: cache of compiled sources; the default one if None.

    Raises:
        GraphError: the model cannot be built; the message says why.
        NothingMeasuredError: not one operator has a kernel.
    """
    from tvm import relax

    options, objects = options or GraphOptions(), objects or ObjectCache()
    tuner, clock = tuned_once(tuner), _Clock()
    parts = partition(to_nhwc(module), epilogues=options.fuse_epilogues)
    clock.lap("passes")
    chosen = select(parts, tuner, options)
    clock.lap("tune")
    untyped: Any = chosen.module
    operators = {
        symbol_of(function): operator_of(function)
        for function in untyped.functions.values()
        if function.attrs and str(dict(function.attrs).get("Codegen", "")) == PREFIX
        if copy_of(function) is None
    }
    packer = Packer(library, objects)
    packer.prepare([(operator, tuner(operator).best.candidate) for operator in operators.values()])
    clock.lap("link")
    with generating(tuner, library.device.cores):
        lowered = relax.transform.RunCodegen()(chosen.module)
    lowered, weights = lift_weights(lowered, operators, tuner, packer)
    clock.lap("passes")
    executable = _compile(lowered, _isa(library))
    clock.lap("tvm")
    with TemporaryDirectory(prefix="triptych-graph-") as folder:
        path = Path(folder) / "model.so"
        export(executable, path, _isa(library), objects)
        model = BuiltModel(
            Contents(path.read_bytes(), weights, shape_of(module["main"].params[0])),
            chosen.layers,
            chosen.decisions,
            chosen.left,
            clock.seconds,
        )
    clock.lap("link")
    return model


def _isa(library: TemplateLibrary) -> str:
    return str(getattr(library, "isa", "generic"))


def _compile(module: tvm.IRModule, isa: str) -> Any:
    import tvm

    return tvm.compile(module, tvm.target.Target({"kind": "llvm", "mcpu": _CPUS[isa]}))
