"""Rebuilding a module's main function, binding by binding: what every pass here is written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tvm

Rule = Callable[["Scope", Any, Any], Any]
"""(scope, variable, value with new operands) -> the new expression."""


class GraphError(ValueError):
    """A model that cannot be imported or built; the message says what stands in the way."""


class Scope:
    """What a rule may use: the builder, and what earlier bindings became."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.made: dict[Any, Any] = {}

    def emit(self, expr: Any) -> Any:
        """Bind an expression to a new variable; constants and variables stay as they are."""
        from tvm import ir, relax

        if isinstance(expr, relax.Var | ir.GenericConst):
            return expr
        return self.builder.emit(expr)

    def producer(self, expr: Any) -> Any:
        """Return the new value that is bound to a variable, or None."""
        from tvm import relax

        return self.builder.lookup_binding(expr) if isinstance(expr, relax.Var) else None

    def resolve(self, expr: Any) -> Any:
        """Return an old expression with old variables replaced by what they became."""
        from tvm import ir, relax

        if isinstance(expr, relax.Var):
            return self.made.get(expr, expr)
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self.resolve(field) for field in expr.fields])
        if isinstance(expr, ir.TupleGetItem):
            whole = self.resolve(expr.tuple_value)
            if isinstance(whole, relax.Tuple):
                return whole.fields[expr.index]
            return relax.TupleGetItem(whole, expr.index)
        if isinstance(expr, relax.Call):
            args = [self.resolve(arg) for arg in expr.args]
            return relax.Call(expr.op, args, expr.attrs, expr.ty_args)
        return expr


def rewrite(
    module: tvm.IRModule, rule: Rule, extra_params: Callable[[Scope], list[Any]] | None = None
) -> tvm.IRModule:
    """Return the module with its main function rebuilt by a rule.

    Args:
        module: its `main` holds one dataflow block.
        rule: invoked for every binding in order, and once with variable None for the result.
        extra_params: returns parameters to append, invoked after all bindings.

    Raises:
        GraphError: main has control flow.
    """
    from tvm import relax

    main = module["main"]
    blocks = main.body.blocks
    if len(blocks) != 1 or not isinstance(blocks[0], relax.DataflowBlock):
        raise GraphError("main: is not one dataflow block; models with control flow are not taken")
    builder = relax.BlockBuilder()
    scope = Scope(builder)
    with builder.function("main", None if extra_params else list(main.params)):
        with builder.dataflow():
            for binding in blocks[0].bindings:
                value = scope.resolve(binding.value)
                scope.made[binding.var] = rule(scope, binding.var, value)
            result = rule(scope, None, scope.resolve(main.body.body))
            output = builder.emit_output(result)
        if extra_params:
            builder.emit_func_output(output, params=[*main.params, *extra_params(scope)])
        else:
            builder.emit_func_output(output)
    rebuilt = builder.get()["main"]
    made = module.clone()
    made.update_func(
        module.get_global_var("main"),
        rebuilt.with_attrs(dict(main.attrs)) if main.attrs else rebuilt,
    )
    return made


def call_name(expr: Any) -> str:
    """Return the operator of a call, such as `relax.nn.conv2d`, or ""."""
    from tvm import ir, relax

    is_one = isinstance(expr, relax.Call) and isinstance(expr.op, ir.Op)
    return _name(expr.op) if is_one else ""


def _name(operator: Any) -> str:
    return str(operator.name)  # which TVM's annotations lack


def shape_of(expr: Any) -> tuple[int, ...]:
    """Return a tensor's shape.

    Raises:
        GraphError: it is not known, or not a tensor's.
    """
    shape = getattr(expr.ty, "shape", None)
    if shape is None:
        raise GraphError(f"a tensor of unknown shape: {str(expr)[:60]}; export with fixed shapes")
    try:
        return tuple(int(extent) for extent in shape)
    except TypeError:
        raise GraphError(f"shape {shape}: is dynamic; export the model with fixed shapes") from None


def is_constant(expr: Any) -> bool:
    """Whether the expression is a tensor known now."""
    from tvm import ir

    return isinstance(expr, ir.GenericConst)


def constant(array: NDArray[Any]) -> Any:
    """Return an array as a constant."""
    from tvm import relax

    return relax.const(np.ascontiguousarray(array))


def value_of(expr: Any) -> NDArray[Any]:
    """Return a constant's array."""
    return expr.value.numpy()
