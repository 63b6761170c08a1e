"""What an operator computes, by NumPy and PyTorch, and how far a kernel may stray from it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuning.operators.base import Operator
from tuning.operators.conv2d import Conv2d
from tuning.operators.epilogue import Epilogue
from tuning.operators.gemm import Gemm
from tuning.operators.pair import Pair

if TYPE_CHECKING:
    import torch

Arrays = dict[str, NDArray[Any]]

_EPS = float(np.finfo(np.float32).eps)
_ROUNDING = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half a unit in the last place of the stored type, relative."""
_LARGEST = {"float32": np.inf, "float16": 65504.0, "bfloat16": 3.3895314e38}
"""Largest finite number of the stored type; for float32 only infinity becomes infinity."""
_ACTIVATION_ERROR = 4e-6
"""What the vector code of GELU, Softplus and SiLU may add, absolute and relative."""


def random_operands(operator: Operator, seed: int = 0) -> Arrays:
    """Return name -> array for every operand but the output.

    Inputs are standard normal; weights are scaled by 1/sqrt(k), so that outputs have variance
    around 1 and activations meet their curved parts.
    """
    generator = np.random.default_rng([seed, zlib.crc32(operator.text().encode())])
    found = {}
    for operand in operator.operands():
        if operand.role == "output":
            continue
        array = generator.standard_normal(operand.shape, dtype=np.float32)
        if operand.name in ("b", "w", "b1", "w1"):
            array *= np.float32(1.0 / np.sqrt(_reduced(operand.shape, operand.name)))
        found[operand.name] = array
    return found


def _reduced(shape: tuple[int, ...], name: str) -> int:
    """Return over how many elements a weight is summed."""
    return shape[-2] if name.startswith("b") else int(np.prod(shape[1:]))


def reference(operator: Operator, operands: Arrays) -> NDArray[np.float32]:
    """Return the output in float32, before it is rounded to a smaller type.

    Args:
        operator: what to compute.
        operands: name -> array, as `random_operands` makes them.
    """
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in operands.items()}
    with torch.no_grad():
        return _compute(operator, tensors, "").numpy()


def _compute(operator: Operator, given: dict[str, torch.Tensor], tail: str) -> torch.Tensor:
    if isinstance(operator, Pair):
        between = _compute(operator.first, given, "")
        name = "x1" if isinstance(operator.second, Conv2d) else "a1"
        return _compute(operator.second, given | {name: between}, "1")
    if isinstance(operator, Gemm):
        found = given[f"a{tail}"] @ given[f"b{tail}"]
    elif isinstance(operator, Conv2d):
        found = _conv2d(operator, given[f"x{tail}"], given[f"w{tail}"])
    else:
        raise TypeError(f"no reference for {type(operator).__name__}")
    return apply_epilogue(
        operator.epilogue, found, given.get(f"bias{tail}"), given.get(f"residual{tail}")
    )


def _conv2d(operator: Conv2d, image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the sum over the kernel's positions of pixels times weights.

    PyTorch's own `conv2d` is not used: with two threads oneDNN 3.12 answers strided and padded 1x1
    convolutions wrongly in some calls.
    """
    from torch.nn.functional import pad

    rows, columns = operator.padding
    padded = pad(image, (0, 0, columns, columns, rows, rows))
    found = image.new_zeros(operator.operands()[-1].shape)
    for r in range(operator.kernel[0]):
        for s in range(operator.kernel[1]):
            top, left = r * operator.dilation[0], s * operator.dilation[1]
            bottom = top + (operator.out_height - 1) * operator.stride[0] + 1
            right = left + (operator.out_width - 1) * operator.stride[1] + 1
            pixels = padded[:, top : bottom : operator.stride[0], left : right : operator.stride[1]]
            found += pixels @ weight[:, r, s].T
    return found


def apply_epilogue(
    epilogue: Epilogue,
    found: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
) -> torch.Tensor:
    """Return `found` after the steps, in float32; channels are the last axis."""
    from torch.nn import functional

    added = {"bias": bias, "residual": residual}
    for step in epilogue.steps:
        if step not in added:
            found = getattr(functional, step)(found)
        elif (term := added[step]) is not None:
            found = found + term
    return found


def as_float32(stored: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """Return a kernel's output in float32; bfloat16 is stored as its 16 bits in uint16."""
    if dtype == "bfloat16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32)


def tolerance(operator: Operator, operands: Arrays) -> float:
    """Return the largest error that float32 sums in another order explain, per unit of output.

    A sum of k products of standard deviation s strays by about eps s sqrt(k) from another order
    of summing (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2, by the rule
    of thumb that takes the square root of the bound's constant k); four times that are allowed,
    with the largest operand for s, and the activation's own error.
    """
    depth = sum(_depths(operator))
    scale = max(1.0, max(float(np.abs(a).max(initial=0.0)) for a in operands.values()))
    return 4 * _EPS * scale * np.sqrt(depth) + _ACTIVATION_ERROR


def _depths(operator: Operator) -> list[int]:
    if isinstance(operator, Pair):
        return [*_depths(operator.first), *_depths(operator.second)]
    if isinstance(operator, Conv2d):
        return [operator.as_gemm[2]]
    return [operator.k] if isinstance(operator, Gemm) else [1]


def mismatch(
    operator: Operator,
    operands: Arrays,
    stored: NDArray[Any],
    wanted: NDArray[np.float32] | None = None,
) -> str | None:
    """Return how `stored` differs from the reference, or None if it is equal within tolerance.

    `wanted` is the reference if it is known already.
    """
    wanted = reference(operator, operands) if wanted is None else wanted
    found = as_float32(stored, operator.epilogue.out_dtype)
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    allowed = tolerance(operator, operands)
    relative = allowed + _ROUNDING[operator.epilogue.out_dtype]
    with np.errstate(invalid="ignore"):
        excess = np.abs(found - wanted) - (allowed + relative * np.abs(wanted))
    excess[_same_special(found, wanted, operator.epilogue.out_dtype, relative)] = -1.0
    excess[np.isnan(excess)] = np.inf
    if (worst := float(excess.max(initial=-1.0))) <= 0:
        return None
    place = np.unravel_index(int(excess.argmax()), excess.shape)
    where = tuple(int(index) for index in place)
    return (
        f"at {where}: {float(found[place]):.7g} instead of {float(wanted[place]):.7g} "
        f"({worst:.2g} beyond the tolerance)"
    )


def _same_special(
    found: NDArray[np.float32], wanted: NDArray[np.float32], dtype: str, relative: float
) -> NDArray[np.bool_]:
    """Return where both are NaN, or the same infinity once `wanted` is stored as `dtype`."""
    infinite = np.isinf(found) & (np.sign(found) == np.sign(wanted))
    over = np.abs(wanted) >= _LARGEST[dtype] * (1 - relative)
    return (np.isnan(found) & np.isnan(wanted)) | (infinite & over)
