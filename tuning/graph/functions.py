"""An operator as a Relax function: what a kernel of ours computes, in the graph's own terms."""

from __future__ import annotations

import json
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from tuning.graph.patterns import PREFIX
from tuning.graph.untyped import relax_untyped
from tuning.operators import Conv2d, Gemm, Operator, Pair, operator_from_dict

if TYPE_CHECKING:
    import tvm

_OPERATOR = "bolt.operator"


def module_of(operator: Operator, symbol: str) -> tvm.IRModule:
    """Return a module with the one function that stands for an operator.

    The code generator `relax.ext.bolt` takes it. Its parameters are the operator's operands but
    the output, in the operator's order; its body computes the same with Relax' operators, so
    that the module says what it means and runs even without our kernels.

    Args:
        operator: stored in an attribute, from which `operator_of` reads it.
        symbol: the name under which the kernel is exported.
    """
    relax = relax_untyped()

    operands = operator.operands()[:-1]
    params = [relax.Var(o.name, relax.TensorType(o.shape, o.dtype)) for o in operands]
    given = {o.name: param for o, param in zip(operands, params, strict=True)}
    builder = relax.BlockBuilder()
    attrs = {
        "Codegen": PREFIX,
        "global_symbol": symbol,
        _OPERATOR: json.dumps(operator.to_dict(), sort_keys=True),
    }
    with builder.function(symbol, params, attrs=attrs):
        with builder.dataflow():
            output = builder.emit_output(_body(builder, operator, given, ""))
        builder.emit_func_output(output)
    return builder.get()


def operator_of(function: Any) -> Operator:
    """Return the operator that `module_of` stored."""
    return operator_from_dict(json.loads(str(function.attrs[_OPERATOR])))


def symbol_of(function: Any) -> str:
    """Return the name under which the function's kernel is exported."""
    return str(function.attrs["global_symbol"])


def _body(builder: Any, operator: Operator, given: dict[str, Any], tail: str) -> Any:
    relax = relax_untyped()

    if isinstance(operator, Pair):
        between = _body(builder, operator.first, given, "")
        name = "x1" if isinstance(operator.second, Conv2d) else "a1"
        return _body(builder, operator.second, given | {name: between}, "1")
    if isinstance(operator, Conv2d):
        made = relax.op.nn.conv2d(
            given[f"x{tail}"],
            given[f"w{tail}"],
            strides=list(operator.stride),
            padding=list(operator.padding),
            dilation=list(operator.dilation),
            data_layout="NHWC",
            kernel_layout="OHWI",
        )
    elif isinstance(operator, Gemm):
        made = relax.op.matmul(given[f"a{tail}"], given[f"b{tail}"])
    else:
        raise TypeError(f"no Relax function for {type(operator).__name__}")
    made = builder.emit(made)
    for step in operator.epilogue.steps:
        made = builder.emit(_step(builder, step, made, given, tail))
    return made


def _step(builder: Any, step: str, x: Any, given: dict[str, Any], tail: str) -> Any:
    relax = relax_untyped()

    if step in ("bias", "residual"):
        return relax.op.add(x, given[f"{step}{tail}"])
    if step == "hardswish":
        shifted = builder.emit(relax.op.add(x, relax.const(3.0)))
        gate = builder.emit(relax.op.clip(shifted, 0, 6))
        return relax.op.multiply(x, builder.emit(relax.op.divide(gate, relax.const(6.0))))
    return getattr(relax.op.nn, step)(x)


def add_functions(
    module: tvm.IRModule, symbols: dict[Operator, str], left: Container[Operator] = ()
) -> tvm.IRModule:
    """Return the module with a function for each operator, under its symbol.

    Those in `left` are for TVM to lower: it takes their bodies as they are.
    """
    made = module.clone()
    for operator, symbol in symbols.items():
        added = module_of(operator, symbol)
        if operator in left:
            added.update_func(added.get_global_var(symbol), added[symbol].without_attr("Codegen"))
        made.update(added)
    return made
