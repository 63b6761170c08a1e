"""The chosen graph in half precision: kernels called as external functions, the rest left to TVM.

Weights and biases become constants in the layout and type that their kernel reads. The image comes
in and the result goes out in float32, as the model was imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuning.graph.copies import Copy, copy_of
from tuning.graph.functions import operator_of, symbol_of
from tuning.graph.patterns import PREFIX
from tuning.graph.untyped import relax_untyped
from tuning.graph.walk import GraphError, Scope, constant, is_constant, rewrite, value_of
from tuning.operators import Operator
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import call

if TYPE_CHECKING:
    import tvm

HALF = "float16"
_STORED = {"float16": np.float16, "float32": np.float32}


@dataclass(frozen=True)
class Call:
    """One external function.

    Attributes:
        symbol: its name.
        operator: what it computes.
        kernel: by which.
    """

    symbol: str
    operator: Operator
    kernel: Kernel


def kernels_of(module: tvm.IRModule, chosen: Mapping[Operator, Kernel]) -> dict[str, Call]:
    """Return symbol -> call of the functions that stand for kernels."""
    untyped: Any = module
    found = {}
    for function in untyped.functions.values():
        ours = function.attrs and str(dict(function.attrs).get("Codegen", "")) == PREFIX
        if ours and copy_of(function) is None:
            operator, symbol = operator_of(function), symbol_of(function)
            found[symbol] = Call(symbol, operator, chosen[operator])
    return found


def in_half(module: tvm.IRModule, calls: Mapping[str, Call]) -> tvm.IRModule:
    """Return the module in half precision, its kernels called as external functions.

    Raises:
        GraphError: a weight is not known, or an operator without a kernel is left.
    """
    from tvm import ir

    relax = relax_untyped()
    image = module["main"].params[0]
    untyped: Any = module

    def half(scope: Scope, expr: Any) -> Any:
        if is_constant(expr) and str(expr.ty.dtype) == "float32":
            return constant(value_of(expr).astype(np.float16))
        if isinstance(expr, relax.Var) and expr.same_as(image):
            return scope.emit(relax.op.astype(expr, HALF))
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([half(scope, field) for field in expr.fields])
        return expr

    def rule(scope: Scope, var: Any, value: Any) -> Any:
        if var is None:
            return scope.emit(relax.op.astype(half(scope, value), "float32"))
        if isinstance(value, relax.Tuple):
            return half(scope, value)
        if not isinstance(value, relax.Call):
            return scope.emit(value)
        if not isinstance(value.op, ir.GlobalVar):
            args = [half(scope, arg) for arg in value.args]
            return scope.emit(relax.Call(value.op, args, value.attrs, value.ty_args))
        function = untyped[value.op]
        copy = copy_of(function)
        if copy is not None:
            return scope.emit(_copied(copy, half(scope, value.args[0])))
        symbol = str(dict(function.attrs).get("global_symbol", ""))
        if symbol not in calls:
            raise GraphError(
                f"{symbol or value.op}: CUTLASS has no kernel, and TVM's is not in half"
            )
        return scope.emit(_external(calls[symbol], value.args, lambda arg: half(scope, arg)))

    return _without_ours(rewrite(module, rule))


def _without_ours(module: tvm.IRModule) -> tvm.IRModule:
    """Return the module without the functions that stood for kernels and copies."""
    import tvm

    untyped: Any = module
    kept = {
        name: function
        for name, function in untyped.functions.items()
        if not (function.attrs and str(dict(function.attrs).get("Codegen", "")) == PREFIX)
    }
    return tvm.IRModule(kept, attrs=untyped.attrs)


def _copied(copy: Copy, tensor: Any) -> Any:
    """Return the copy in TVM's own operators, which it fuses with what is around."""
    relax = relax_untyped()
    axis, (given, made) = len(copy.given) - 1, (copy.given[-1], copy.made[-1])
    if made > given:
        return relax.op.nn.pad(tensor, [0, 0] * axis + [0, made - given])
    return relax.op.strided_slice(tensor, [axis], [0], [made])


def _external(one: Call, args: Any, half: Any) -> Any:
    """Return the call of a kernel, with its tensors in the order and types that it takes."""
    relax = relax_untyped()
    names = [operand.name for operand in one.operator.operands()[:-1]]
    given = dict(zip(names, args, strict=True))
    *tensors, output = call.arguments_of(one.operator, one.kernel)
    fields = []
    for tensor in tensors:
        if tensor.role == "zeros":
            fields.append(constant(np.zeros(tensor.shape, _STORED[tensor.dtype])))
        elif tensor.role in ("weight", "bias"):
            if not is_constant(given[tensor.name]):
                raise GraphError(f"{one.operator.text()}: {tensor.name} is not a constant")
            packed = tensor.name in ("b", "b1") and one.kernel.layout == "tn"
            fields.append(constant(_stored(value_of(given[tensor.name]), tensor, packed)))
        else:
            fields.append(half(given[tensor.name]))
    kind = relax.TensorType(output.shape, output.dtype)
    return relax.call_dps_packed(one.symbol, relax.Tuple(fields), kind)


def _stored(array: NDArray[Any], tensor: call.Tensor, transposed: bool) -> NDArray[Any]:
    """Return a weight or bias as its kernel reads it.

    Shapes do not tell whether a weight is to be transposed: a square one is, too.
    """
    array = array.swapaxes(-1, -2) if transposed else array.reshape(tensor.shape)
    if array.shape != tensor.shape:
        raise GraphError(f"{tensor.name}: has shape {array.shape} instead of {tensor.shape}")
    return np.ascontiguousarray(array.astype(_STORED[tensor.dtype]))
