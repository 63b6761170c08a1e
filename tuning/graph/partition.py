"""Which parts of a module are operators of ours: found by pattern, told as `tuning.operators`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuning.graph.patterns import epilogue_steps, fusion_patterns, is_composite, product_call
from tuning.graph.walk import call_name, is_constant, shape_of
from tuning.operators import Conv2d, Epilogue, Gemm, Operator

if TYPE_CHECKING:
    import tvm


@dataclass
class Node:
    """One call of an operator in `main`.

    Attributes:
        operator: what it computes.
        var: the variable that it is bound to.
        args: the operator's operands but the output, in its order, as expressions of `main`.
        users: how many bindings (or the result) use `var`.
    """

    operator: Operator
    var: Any
    args: list[Any]
    users: int = 0


@dataclass
class Parts:
    """A partitioned module and its nodes, in order of execution."""

    module: tvm.IRModule
    nodes: list[Node] = field(default_factory=list)


# paper: bolt partition
def partition(module: tvm.IRModule, *, epilogues: bool = True) -> Parts:
    """Return the module with our operators as composite functions, and what these are.

    Args:
        module: convolutions in NHWC, as `to_nhwc` leaves them.
        epilogues: whether element-wise operators after a product become part of it.
    """
    from tvm import relax

    patterns = fusion_patterns(epilogues=epilogues)
    module = relax.transform.FuseOpsByPattern(patterns, bind_constants=False)(module)
    parts = Parts(module)
    main = module["main"]
    users: dict[Any, int] = {}
    for block in main.body.blocks:
        for binding in block.bindings:
            for used in _operands(binding.value):
                users[used] = users.get(used, 0) + 1
            node = _node(module, binding)
            if node is not None:
                parts.nodes.append(node)
    users[main.body.body] = users.get(main.body.body, 0) + 1
    for node in parts.nodes:
        node.users = users.get(node.var, 0)
    return parts


def _operands(value: Any) -> list[Any]:
    from tvm import ir, relax

    if isinstance(value, relax.Var):
        return [value]
    if isinstance(value, ir.TupleGetItem):
        return [value.tuple_value]
    children = getattr(value, "args", None) or getattr(value, "fields", None) or ()
    return [used for child in children for used in _operands(child)]


def _node(module: tvm.IRModule, binding: Any) -> Node | None:
    from tvm import ir, relax

    call = binding.value
    if not isinstance(call, relax.Call) or not isinstance(call.op, ir.GlobalVar):
        return None
    function = module[call.op]
    if not is_composite(function):
        return None
    return node_of(function, call, binding.var)


def node_of(function: Any, call: Any, var: Any) -> Node:
    """Return the operator of a composite function and the operands that a call hands to it."""
    made = product_call(function)
    steps = epilogue_steps(function)
    given = dict(zip(function.params, call.args, strict=True))
    args = [given[made.args[0]], given[made.args[1]]]
    added = _added(function, shape_of(made))
    args += [given[added[step]] for step in ("bias", "residual") if step in steps]
    operator = _conv2d(made, steps) if call_name(made) == "relax.nn.conv2d" else None
    return Node(operator or _gemm(made, steps, args[1]), var, args)


def _added(function: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return which parameters are added as bias and as residual."""
    found = {}
    params = set(function.params)
    for block in function.body.blocks:
        for binding in block.bindings:
            if call_name(binding.value) != "relax.add":
                continue
            for arg in binding.value.args:
                if arg in params and shape_of(arg) == (shape[-1],):
                    found["bias"] = arg
                elif arg in params and shape_of(arg) == shape:
                    found["residual"] = arg
    return found


def _conv2d(call: Any, steps: tuple[str, ...]) -> Conv2d:
    attrs = call.attrs
    batch, height, width, in_channels = shape_of(call.args[0])
    out_channels, kh, kw, _ = shape_of(call.args[1])
    return Conv2d(
        batch,
        height,
        width,
        in_channels,
        out_channels,
        kernel=(kh, kw),
        stride=_two(attrs.strides),
        padding=_two(attrs.padding),
        dilation=_two(attrs.dilation),
        epilogue=Epilogue(steps),
    )


def _gemm(call: Any, steps: tuple[str, ...], weight: Any) -> Gemm:
    a, b = shape_of(call.args[0]), shape_of(call.args[1])
    if is_constant(weight):
        return Gemm(math.prod(a[:-1]), b[1], b[0], epilogue=Epilogue(steps))
    return Gemm(a[1], b[2], b[1], batch=a[0], constant_b=False, epilogue=Epilogue(steps))


def _two(values: Any) -> tuple[int, int]:
    return int(values[0]), int(values[1])
