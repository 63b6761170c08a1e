"""A PyTorch module as Relax, ready for the passes: constants inside, batch norm folded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.graph.walk import (
    GraphError,
    Scope,
    call_name,
    constant,
    is_constant,
    rewrite,
    shape_of,
    value_of,
)

if TYPE_CHECKING:
    import torch
    import tvm


def import_torch(model: torch.nn.Module, example: torch.Tensor) -> tvm.IRModule:
    """Return the model, in evaluation mode, as an IRModule whose `main` takes one image batch.

    Args:
        model: takes and gives one tensor.
        example: of the shape that the model is built for.

    Raises:
        GraphError: PyTorch cannot export it, or Relax cannot import it.
    """
    import torch
    from tvm.relax.frontend.torch import from_exported_program

    model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            exported = torch.export.export(model, (example,))
            _tell_inference(exported.graph)
            # Without decomposition activations and batch norm stay one operator each.
            module = from_exported_program(
                exported, run_ep_decomposition=False, keep_params_as_input=False
            )
        except (RuntimeError, ValueError, TypeError, NotImplementedError, AssertionError) as error:
            raise GraphError(f"model: cannot be imported: {str(error)[:300]}") from error
    return simplify(module)


def _tell_inference(graph: torch.fx.Graph) -> None:
    """Make batch norms of the kind that Relax imports rightly.

    TVM 0.27 reads the momentum of `aten.batch_norm` as its epsilon and takes it for training
    (tvm/relax/frontend/torch/exported_program_translator.py); the inference operator is right.
    """
    import torch

    aten = torch.ops.aten
    for node in graph.nodes:
        if node.target is aten.batch_norm.default:
            if node.args[5]:
                raise GraphError(f"{node.name}: batch norm in training mode; call eval() before")
            node.target = aten._native_batch_norm_legit_no_training.default
            node.args = (*node.args[:5], *node.args[6:8])


def simplify(module: tvm.IRModule) -> tvm.IRModule:
    """Return the module with batch norm folded, constants computed and identities removed."""
    from tvm import relax

    module = rewrite(module, _rule)
    module = relax.transform.CanonicalizeBindings()(module)
    return relax.transform.DeadCodeElimination()(module)


def _rule(scope: Scope, var: Any, value: Any) -> Any:
    from tvm import ir, relax

    if var is None:
        fields = getattr(value, "fields", None)
        return fields[0] if fields is not None and len(fields) == 1 else _single(scope, value)
    if isinstance(value, relax.Tuple) or is_constant(value):
        return value
    if isinstance(value, ir.TupleGetItem):
        return scope.emit(value)
    name = call_name(value)
    handler = _HANDLERS.get(name)
    found = handler(scope, value) if handler else None
    return scope.emit(value) if found is None else found


def _single(scope: Scope, value: Any) -> Any:
    """Return the result's only tensor."""
    bound = scope.producer(value)
    fields = getattr(bound, "fields", None)
    return fields[0] if fields is not None and len(fields) == 1 else value


def _permute(scope: Scope, value: Any) -> Any:
    if not is_constant(value.args[0]):
        return None
    axes = value.attrs.axes
    return constant(np.transpose(value_of(value.args[0]), None if axes is None else list(axes)))


def _reshape(scope: Scope, value: Any) -> Any:
    wanted = tuple(int(extent) for extent in value.args[1].values)
    if is_constant(value.args[0]):
        return constant(value_of(value.args[0]).reshape(wanted))
    return value.args[0] if shape_of(value.args[0]) == wanted else None


def _add(scope: Scope, value: Any) -> Any:
    from tvm import relax

    left, right = value.args
    if is_constant(left) and not is_constant(right):  # constants second: one pattern does
        return scope.emit(relax.op.add(right, left))
    return None


def _adaptive_pool(scope: Scope, value: Any) -> Any:
    size = value.attrs.output_size
    image = shape_of(value.args[0])[2:]
    if size is not None and tuple(int(extent) for extent in size) == image:
        return value.args[0]
    return None


def _dropout(scope: Scope, value: Any) -> Any:
    from tvm import relax

    return relax.Tuple([value.args[0], value.args[0]])


def _batch_norm(scope: Scope, value: Any) -> Any:
    """Return a convolution with scaled weights and a bias in the place of both."""
    from tvm import relax

    conv = scope.producer(value.args[0])
    if call_name(conv) != "relax.nn.conv2d" or not is_constant(conv.args[1]):
        return None
    if not all(is_constant(arg) for arg in value.args[1:]) or value.attrs.axis != 1:
        return None
    gamma, beta, mean, variance = (value_of(arg).astype(np.float64) for arg in value.args[1:])
    scale = 1.0 / np.sqrt(variance + value.attrs.epsilon)
    if value.attrs.scale:
        scale = scale * gamma
    shift = (beta if value.attrs.center else 0.0) - mean * scale
    weight = value_of(conv.args[1]) * scale[:, None, None, None]
    folded = relax.Call(
        conv.op, [conv.args[0], constant(weight.astype(np.float32))], conv.attrs, conv.ty_args
    )
    bias = constant(shift.astype(np.float32).reshape(1, -1, 1, 1))
    biased = scope.emit(relax.op.add(scope.emit(folded), bias))
    return relax.Tuple([biased, value.args[3], value.args[4]])


_HANDLERS = {
    "relax.permute_dims": _permute,
    "relax.reshape": _reshape,
    "relax.add": _add,
    "relax.nn.adaptive_avg_pool2d": _adaptive_pool,
    "relax.nn.dropout": _dropout,
    "relax.nn.batch_norm": _batch_norm,
}
