"""Operands of an operator whose channels are padded with zeros (Bolt section 3.2.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tuning.graph.walk import GraphError, Scope, constant, is_constant, shape_of, value_of
from tuning.operators import Operator


def pad_args(scope: Scope, plain: Operator, padded: Operator, args: list[Any]) -> list[Any]:
    """Return the operands of `plain` as `padded` takes them.

    Constants are padded now; activations by an operator of TVM, which it fuses with what comes
    before where it can, such as the transpose of the input.

    Raises:
        GraphError: the two operators do not differ by trailing channels alone.
    """
    made = []
    for old, new, arg in zip(plain.operands()[:-1], padded.operands()[:-1], args, strict=True):
        widths = [b - a for a, b in zip(old.shape, new.shape, strict=True)]
        if old.name != new.name or min(widths) < 0:
            raise GraphError(f"padding: {padded.text()} does not contain {plain.text()}")
        made.append(_pad(scope, arg, widths))
    return made


def slice_output(scope: Scope, plain: Operator, made: Any) -> Any:
    """Return the output of a padded operator without its padding."""
    from tvm import relax

    wanted = plain.operands()[-1].shape
    given = shape_of(made)
    if given == wanted:
        return made
    axes = [axis for axis, (a, b) in enumerate(zip(given, wanted, strict=True)) if a != b]
    ends = [wanted[axis] for axis in axes]
    return scope.emit(relax.op.strided_slice(made, axes, [0] * len(axes), ends))


def _pad(scope: Scope, arg: Any, widths: list[int]) -> Any:
    from tvm import relax

    if not any(widths):
        return arg
    if is_constant(arg):
        return constant(np.pad(value_of(arg), [(0, width) for width in widths]))
    flat = [number for width in widths for number in (0, width)]
    return scope.emit(relax.op.nn.pad(arg, flat))
