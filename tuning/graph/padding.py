"""Operands of an operator whose channels are padded with zeros (Bolt section 3.2.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tuning.graph.copies import Copy, Emit
from tuning.graph.walk import constant, is_constant, value_of
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


def pad_args(plain: Operator, padded: Operator, args: list[Any], emit: Emit) -> list[Any]:
    """Return the operands of `plain` as `padded`, which `widens` it, takes them.

    Constants are padded now, activations by a copy at every call.
    """
    made = []
    for old, new, arg in zip(plain.operands()[:-1], padded.operands()[:-1], args, strict=True):
        widths = [b - a for a, b in zip(old.shape, new.shape, strict=True)]
        if any(widths) and is_constant(arg):
            arg = constant(np.pad(value_of(arg), [(0, width) for width in widths]))
        elif any(widths):
            arg = emit(Copy(old.shape, new.shape), arg)
        made.append(arg)
    return made


def slice_output(plain: Operator, padded: Operator, output: Any, emit: Emit) -> Any:
    """Return the output of a padded operator without its padding."""
    copy = Copy(padded.operands()[-1].shape, plain.operands()[-1].shape)
    return output if copy.given == copy.made else emit(copy, output)
