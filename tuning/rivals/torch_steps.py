"""What both vendors that come with PyTorch share: tensors, in-place steps, the stored output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuning.operators import Conv2d, Gemm
from tuning.operators.reference import Arrays

if TYPE_CHECKING:
    import torch

Step = Callable[["torch.Tensor"], object]
"""Changes a tensor in place."""


def image(array: NDArray[np.float32]) -> torch.Tensor:
    """Return an NHWC (or OHWI) array as PyTorch sees it: NCHW in channels-last memory."""
    import torch

    return torch.from_numpy(array).permute(0, 3, 1, 2)


def tensor(half: Gemm | Conv2d, array: NDArray[np.float32]) -> torch.Tensor:
    """Return an input or residual of `half`: rows of a GEMM (unless B is batched), or an image."""
    import torch

    if isinstance(half, Conv2d):
        return image(array)
    found = torch.from_numpy(array)
    return found.reshape(-1, array.shape[-1]) if half.constant_b else found


def in_place(steps: Iterable[str], half: Gemm | Conv2d, arrays: Arrays) -> list[Step]:
    """Return the steps that are left after the library's own, each one pass in place."""
    import torch
    from torch.nn import functional

    kernels: dict[str, Step] = {
        "relu": torch.relu_,
        "gelu": lambda x: torch.ops.aten.gelu.out(x, out=x),
        "hardswish": lambda x: functional.hardswish(x, inplace=True),
        "softplus": lambda x: torch.ops.aten.softplus.out(x, out=x),
        "silu": lambda x: functional.silu(x, inplace=True),
    }
    found: list[Step] = []
    for step in steps:
        if step == "bias":
            bias = torch.from_numpy(arrays["bias"])
            bias = bias.reshape(1, -1, 1, 1) if isinstance(half, Conv2d) else bias
            found.append(lambda x, bias=bias: x.add_(bias))
        elif step == "residual":
            residual = tensor(half, arrays["residual"])
            found.append(lambda x, residual=residual: x.add_(residual))
        else:
            found.append(kernels[step])
    return found


def run_all(calls: list[Callable[[Any], Any]], source: torch.Tensor, dtype: str) -> torch.Tensor:
    """Return `source` after every call in turn, then stored as `dtype` by PyTorch's own cast."""
    import torch

    for call in calls:
        source = call(source)
    return source if dtype == "float32" else source.to(getattr(torch, dtype))


def stored(found: torch.Tensor, half: Gemm | Conv2d) -> NDArray[Any]:
    """Return a result in the operator's own shape, as a kernel would store it."""
    import torch

    if isinstance(half, Conv2d):
        found = found.permute(0, 2, 3, 1)
    found = found.reshape(half.operands()[-1].shape)
    if found.dtype == torch.bfloat16:
        return found.contiguous().view(torch.int16).numpy().view(np.uint16)
    return found.numpy()
