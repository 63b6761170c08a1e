"""Copies around padded operators as functions, which become the copy that the race timed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuning.graph.patterns import PREFIX
from tuning.graph.untyped import relax_untyped
from tuning.operators import Operator

if TYPE_CHECKING:
    import tvm

_COPY = "bolt.copy"


@dataclass(frozen=True)
class Copy:
    """A copy into a tensor of another innermost width: zeros are added, or the end is left out.

    Attributes:
        given: shape that is read.
        made: shape that is written.
    """

    given: tuple[int, ...]
    made: tuple[int, ...]


Emit = Callable[[Copy, Any], Any]
"""(which, tensor) -> the variable that holds the copy."""


def copies_of(plain: Operator, padded: Operator) -> list[Copy]:
    """Return the copies that `padded` may need in the place of `plain`."""
    pairs = list(zip(plain.operands(), padded.operands(), strict=True))
    inputs = [Copy(old.shape, new.shape) for old, new in pairs[:-1] if old.role != "weight"]
    old, new = pairs[-1]
    return [copy for copy in (*inputs, Copy(new.shape, old.shape)) if copy.given != copy.made]


def add_copies(module: tvm.IRModule, symbols: Mapping[Copy, str]) -> tvm.IRModule:
    """Return the module with a function for each copy, under its symbol."""
    made = module.clone()
    for copy, symbol in symbols.items():
        made.update(_module_of(copy, symbol))
    return made


def _module_of(copy: Copy, symbol: str) -> tvm.IRModule:
    """Return a function that says what is copied, in Relax' operators."""
    relax = relax_untyped()

    axis, (given, made) = len(copy.given) - 1, (copy.given[-1], copy.made[-1])
    told = json.dumps([copy.given, copy.made])
    attrs = {"Codegen": PREFIX, "global_symbol": symbol, _COPY: told}
    x = relax.Var("x", relax.TensorType(copy.given, "float32"))
    builder = relax.BlockBuilder()
    with builder.function(symbol, [x], attrs=attrs):
        with builder.dataflow():
            if made > given:
                output = relax.op.nn.pad(x, [0, 0] * axis + [0, made - given])
            else:
                output = relax.op.strided_slice(x, [axis], [0], [made])
            output = builder.emit_output(output)
        builder.emit_func_output(output)
    return builder.get()


def copy_of(function: Any) -> Copy | None:
    """Return the copy that a function stands for, None if it stands for an operator."""
    told = dict(function.attrs or {}).get(_COPY)
    if told is None:
        return None
    given, made = json.loads(str(told))
    return Copy(tuple(given), tuple(made))
