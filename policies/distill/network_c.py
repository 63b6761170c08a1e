"""Networks to C99 functions, so that what they cost can be compared with rules, C against C.

Dense layers are plain loops over constant arrays: inputs outside, outputs inside, so that a
compiler may use vectors without changing the order of any sum; each sum begins with the bias, as
`policies.congestion.networks.dense` does it. Of a pruned network each output walks the list of
the weights that are left, as `pruning.sparse` does it. tanh is the C library's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from policies.congestion.networks import flat_layers

SCALARS = {"double": ("tanh", ""), "float": ("tanhf", "f")}
"""Scalar type -> its tanh, and the suffix of its constants."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")

_DENSE = """\
static void {name}_layer_{i}(const {scalar} *restrict in, {scalar} *restrict out)
{{
    for (int j = 0; j < {outputs}; j++)
        out[j] = {name}_b{i}[j];
    for (int k = 0; k < {inputs}; k++)
        for (int j = 0; j < {outputs}; j++)
            out[j] += in[k] * {name}_w{i}[k * {outputs} + j];
{squash}}}
"""
_SPARSE = """\
static void {name}_layer_{i}(const {scalar} *restrict in, {scalar} *restrict out)
{{
    for (int j = 0; j < {outputs}; j++) {{
        {scalar} total = {name}_b{i}[j];
        for (int k = {name}_first{i}[j]; k < {name}_first{i}[j + 1]; k++)
            total += in[{name}_place{i}[k]] * {name}_w{i}[k];
        out[j] = total;
    }}
{squash}}}
"""
_SQUASH = """\
    for (int j = 0; j < {outputs}; j++)
        out[j] = {tanh}(out[j]);
"""


def network_c(
    tensors: Mapping[str, NDArray[np.float32]],
    sizes: Sequence[int],
    name: str,
    *,
    scalar: str = "double",
    sparse: bool = False,
) -> str:
    """Return the source of `SCALAR name(const SCALAR *inputs)`, complete in itself.

    It returns the action, brought into [-1, 1]; NaN stays NaN.

    Args:
        tensors: `w0` (inputs x outputs), `b0`, `w1`, ... of dense layers with tanh between them.
        sizes: of the layers, inputs first; the last is 1.
        name: of the function, and the beginning of every other name.
        scalar: `double` or `float`.
        sparse: whether weights that are 0 are left out.

    Raises:
        ValueError: `name` cannot name a C function, there is no such scalar, or a tensor is
            missing or not of the shape that `sizes` implies.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} cannot name a C function; use letters, digits, _")
    if scalar not in SCALARS:
        raise ValueError(f"scalar: must be double or float, got {scalar[:80]!r}")
    flat_layers(tensors, sizes)
    if sizes[-1] != 1:
        raise ValueError(f"sizes: the last must be 1, got {sizes[-1]}")
    parts = ["#include <math.h>"]
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights, biases = tensors[f"w{i}"], tensors[f"b{i}"]
        parts.append(_constants(f"{name}_b{i}", scalar, biases))
        parts += (_listed if sparse else _whole)(f"{name}_", i, scalar, weights)
        tanh = SCALARS[scalar][0]
        squash = _SQUASH.format(outputs=outputs, tanh=tanh) if i < len(sizes) - 2 else ""
        layer = _SPARSE if sparse else _DENSE
        given = {"name": name, "i": i, "scalar": scalar, "inputs": inputs, "outputs": outputs}
        parts.append(layer.format(**given, squash=squash))
    return "\n".join([*parts, _function(name, scalar, sizes)])


def _function(name: str, scalar: str, sizes: Sequence[int]) -> str:
    one = f"1.0{SCALARS[scalar][1]}"
    lines = [f"{scalar} {name}(const {scalar} *inputs)", "{"]
    source = "inputs"
    for i, outputs in enumerate(sizes[1:]):
        lines += [
            f"    {scalar} h{i}[{outputs}];",
            f"    {name}_layer_{i}({source}, h{i});",
        ]
        source = f"h{i}"
    value = f"{source}[0]"
    clamped = f"{value} > {one} ? {one} : {value} < -{one} ? -{one} : {value}"
    return "\n".join([*lines, f"    return {clamped};", "}", ""])


def _whole(name: str, i: int, scalar: str, weights: NDArray[np.float32]) -> list[str]:
    return [_constants(f"{name}w{i}", scalar, weights.ravel())]


def _listed(name: str, i: int, scalar: str, weights: NDArray[np.float32]) -> list[str]:
    """Return the weights that are left, output by output; an array without any holds a 0."""
    used = [np.flatnonzero(column) for column in weights.T]
    values = [column[place] for column, place in zip(weights.T, used, strict=True)]
    first = np.cumsum([0, *map(len, used)])
    return [
        _constants(f"{name}w{i}", scalar, np.concatenate([*values, np.zeros(1, np.float32)])),
        _places(f"{name}place{i}", [*np.concatenate(used).tolist(), 0]),
        _places(f"{name}first{i}", first.tolist()),
    ]


def _constants(name: str, scalar: str, values: NDArray[np.float32]) -> str:
    """Return an array with the very bits of float32 values."""
    suffix = SCALARS[scalar][1]
    return _array(name, scalar, (f"{float(value).hex()}{suffix}" for value in values))


def _places(name: str, values: Iterable[int]) -> str:
    return _array(name, "int", map(str, values))


def _array(name: str, kind: str, texts: Iterable[str]) -> str:
    return f"static const {kind} {name}[] = {{{', '.join(texts)}}};"
