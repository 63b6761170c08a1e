"""Weights packed when the model is built, handed to its main function as further arguments."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuning.compile import ObjectCache
from tuning.graph.options import Tuner
from tuning.graph.untyped import relax_untyped
from tuning.graph.walk import GraphError, Scope, call_name, is_constant, rewrite, value_of
from tuning.kernel import aligned_empty
from tuning.operators import Operator
from tuning.space import Candidate
from tuning.templates.base import TemplateLibrary
from tuning.templates.cpu.render import call_dims

if TYPE_CHECKING:
    import tvm


class Packer:
    """Packs weights as the kernels of a library want them."""

    def __init__(self, library: TemplateLibrary, objects: ObjectCache) -> None:
        self.library = library
        self.objects = objects

    def prepare(self, kernels: list[tuple[Operator, Candidate]]) -> None:
        """Compile what is not in the cache, side by side.

        Raises:
            GraphError: a kernel does not compile any more.
        """
        sources = [self.library.render(*kernel) for kernel in kernels]
        for kernel, made in zip(kernels, self.objects.compile(sources), strict=True):
            if made.path is None:
                raise GraphError(f"{kernel[0].text()}: does not compile: {made.message[:300]}")

    def pack(
        self, operator: Operator, candidate: Candidate, weight: int, array: NDArray[Any]
    ) -> NDArray[np.float32]:
        """Return one weight, packed.

        Args:
            operator: the operator.
            candidate: its kernel; weights packed for another are not understood.
            weight: 0, or 1 for the second weight of a pair.
            array: in the operator's layout.
        """
        path = self.objects.path_of(self.library.render(operator, candidate))
        library = _load(path)
        dims = (ctypes.c_int64 * len(call_dims(operator)))(*call_dims(operator))
        packed = aligned_empty((library.triptych_packed_floats(weight, dims),), np.float32)
        given = np.ascontiguousarray(array, np.float32)
        library.triptych_pack(
            weight, ctypes.c_void_p(given.ctypes.data), ctypes.c_void_p(packed.ctypes.data), dims
        )
        return packed


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.triptych_packed_floats.restype = ctypes.c_int64
    library.triptych_pack.restype = None
    return library


def lift_weights(
    module: tvm.IRModule, operators: dict[str, Operator], tuner: Tuner, packer: Packer
) -> tuple[tvm.IRModule, list[NDArray[np.float32]]]:
    """Return the module with packed weights as further parameters of `main`, and these weights.

    Args:
        module: after `RunCodegen`; kernels are called as external functions.
        operators: symbol -> operator.
        tuner: tells each operator's candidate.
        packer: packs.
    """
    relax = relax_untyped()

    found: dict[tuple[Any, ...], tuple[Any, NDArray[np.float32]]] = {}

    def rule(scope: Scope, var: Any, value: Any) -> Any:
        if var is None or isinstance(value, relax.Tuple):
            return value
        if call_name(value) != "relax.call_dps_packed":
            return scope.emit(value)
        operator = operators.get(str(value.args[0].global_symbol))
        if operator is None:
            return scope.emit(value)
        candidate = tuner(operator).best.candidate
        fields, weights = list(value.args[1].fields), 0
        for place, operand in enumerate(operator.operands()[:-1]):
            if operand.role != "weight":
                continue
            if not is_constant(fields[place]):
                raise GraphError(f"{operator.text()}: weight {operand.name} is not a constant")
            key = (fields[place], operator, candidate, weights)
            if key not in found:
                packed = packer.pack(operator, candidate, weights, value_of(fields[place]))
                kind = relax.TensorType(packed.shape, "float32")
                found[key] = (relax.Var(f"packed{len(found)}", kind), packed)
            fields[place] = found[key][0]
            weights += 1
        args = [value.args[0], relax.Tuple(fields)]
        return scope.emit(relax.Call(value.op, args, value.attrs, value.ty_args))

    module = rewrite(module, rule, lambda scope: [var for var, _ in found.values()])
    return module, [packed for _, packed in found.values()]
