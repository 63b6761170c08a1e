"""From operator to a Relax module, as a user of TVM would have it before tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair

if TYPE_CHECKING:
    from tvm import IRModule

INPUT_ROLES = ("input", "residual")


def parameter_names(operator: Operator) -> tuple[list[str], list[str]]:
    """Return the names of inputs and of constants; `main` takes them in this order.

    Constants (weights and biases) are what TVM may lay out anew.
    """
    operands = operator.operands()[:-1]
    inputs = [o.name for o in operands if o.role in INPUT_ROLES]
    return inputs, [o.name for o in operands if o.role not in INPUT_ROLES]


def module(operator: Operator) -> IRModule:
    """Return `main(inputs..., constants...)`; convolutions are NHWC with OHWI weights.

    Raises:
        TypeError: TVM has no such operator.
    """
    from tvm import relax

    inputs, constants = parameter_names(operator)
    shapes: dict[str, Any] = {o.name: o.shape for o in operator.operands()}
    given: dict[str, Any] = {
        name: relax.Var(name, relax.TensorType(shapes[name], "float32"))
        for name in (*inputs, *constants)
    }
    builder = relax.BlockBuilder()
    attributes: dict[str, Any] = {"num_input": len(inputs)}
    with builder.function("main", list(given.values()), attrs=attributes):
        with builder.dataflow():
            found = builder.emit_output(_operator(builder, operator, given))
        builder.emit_func_output(found)
    return builder.get()


def _operator(builder: Any, operator: Operator, given: dict[str, Any]) -> Any:
    if not isinstance(operator, Pair):
        return _half(builder, operator, given, "")
    between = builder.emit(_half(builder, operator.first, given, ""))
    name = "x1" if isinstance(operator.second, Conv2d) else "a1"
    return _half(builder, operator.second, given | {name: between}, "1")


def _half(builder: Any, half: Operator, given: dict[str, Any], tail: str) -> Any:
    from tvm.relax import op

    if isinstance(half, Gemm):
        found = op.matmul(given[f"a{tail}"], given[f"b{tail}"])
    elif isinstance(half, Conv2d):
        found = op.nn.conv2d(
            given[f"x{tail}"],
            given[f"w{tail}"],
            strides=half.stride,
            padding=half.padding,
            dilation=half.dilation,
            data_layout="NHWC",
            kernel_layout="OHWI",
            out_layout="NHWC",
        )
    else:
        raise TypeError(f"no TVM workload for {type(half).__name__}")
    return _epilogue(builder, half.epilogue, found, given, tail)


def _epilogue(
    builder: Any, epilogue: Epilogue, found: Any, given: dict[str, Any], tail: str
) -> Any:
    """Return the chain; every step is an operator that Relax fuses into the product."""
    from tvm.relax import const, op

    def number(value: float) -> Any:
        return const(value, "float32")

    for step in epilogue.steps:
        x = builder.emit(found)
        if step in ("bias", "residual"):
            found = op.add(x, given[f"{step}{tail}"])
        elif step == "hardswish":
            inner = op.minimum(op.nn.relu(op.add(x, number(3.0))), number(6.0))
            found = op.multiply(op.multiply(x, inner), number(1.0 / 6.0))
        else:
            found = getattr(op.nn, step)(x)
    if epilogue.out_dtype != "float32":
        found = op.astype(builder.emit(found), epilogue.out_dtype)
    return found
