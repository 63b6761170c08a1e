"""Operands of an operator whose channels are padded with zeros (Bolt section 3.2.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tuning.graph.walk import Scope, constant, is_constant, shape_of, value_of
from tuning.operators import Conv2d, Gemm, Operator


def widens(plain: Gemm | Conv2d, padded: Operator) -> bool:
    """Whether `padded` is `plain` with more channels and nothing else, its weights constant."""
    if isinstance(plain, Gemm):
        if not isinstance(padded, Gemm) or not plain.constant_b:
            return False
        same = replace(plain, k=padded.k, n=padded.n) == padded
        return same and padded.k >= plain.k and padded.n >= plain.n
    if not isinstance(padded, Conv2d):
        return False
    ins, outs = padded.in_channels, padded.out_channels
    same = replace(plain, in_channels=ins, out_channels=outs) == padded
    return same and ins >= plain.in_channels and outs >= plain.out_channels


def pad_args(scope: Scope, plain: Operator, padded: Operator, args: list[Any]) -> list[Any]:
    """Return the operands of `plain` as `padded`, which `widens` it, takes them.

    Constants are padded now, activations at every call.
    """
    made = []
    for old, new, arg in zip(plain.operands()[:-1], padded.operands()[:-1], args, strict=True):
        widths = [b - a for a, b in zip(old.shape, new.shape, strict=True)]
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
