"""PyTorch as people write it: addmm, baddbmm or conv2d, then steps in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from tuning.operators import Conv2d, Gemm, Operator
from tuning.operators.reference import Arrays
from tuning.rivals.base import Prepared, halves
from tuning.rivals.torch_steps import image, in_place, run_all, stored, tensor

if TYPE_CHECKING:
    import torch


class TorchVendor:
    """MKL for products, into a reused tensor; oneDNN, without post-ops, for convolutions."""

    name: ClassVar[str] = "torch"

    def supports(self, operator: Operator) -> str | None:
        """Return None: PyTorch computes them all."""
        return None

    def version(self) -> str:
        """Return PyTorch's version, its BLAS and its instruction set."""
        import torch

        lines = torch.__config__.show().splitlines()
        mkl = next((line for line in lines if "Math Kernel" in line), "without MKL")
        name = mkl.strip(" -").partition(" Product")[0].replace("Intel(R) ", "")
        return f"torch {torch.__version__}, {name}, {torch.backends.cpu.get_cpu_capability()}"

    def prepare(self, operator: Operator, operands: Arrays, threads: int) -> Prepared:
        """Return the calls in order; a bias that comes first is the library's own."""
        import torch

        torch.set_num_threads(threads)
        calls: list[Callable[[torch.Tensor], torch.Tensor]] = []
        parts = halves(operator, operands)
        for half, arrays in parts:
            calls.append(_half(half, arrays))
        first, given = parts[0]
        source = tensor(first, given["x" if isinstance(first, Conv2d) else "a"])
        dtype = operator.epilogue.out_dtype
        made: list[torch.Tensor] = []

        def run() -> None:
            made.clear()  # its memory is the next output's, as ours is written over
            with torch.inference_mode():
                made.append(run_all(calls, source, dtype))

        notes = "bias with the product where it comes first; each other step a pass in place"
        return Prepared(run, lambda: stored(made[0], parts[-1][0]), notes)


def _half(half: Gemm | Conv2d, arrays: Arrays) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    steps = half.epilogue.steps
    bias = torch.from_numpy(arrays["bias"]) if steps[:1] == ("bias",) else None
    rest = in_place(steps[bias is not None :], half, arrays)
    product = (
        _convolution(half, arrays, bias)
        if isinstance(half, Conv2d)
        else _product(half, arrays, bias)
    )

    def call(source: torch.Tensor) -> torch.Tensor:
        found = product(source)
        for step in rest:
            step(found)
        return found

    return call


def _product(
    half: Gemm, arrays: Arrays, bias: torch.Tensor | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    b = torch.from_numpy(arrays["b"])
    shape = (half.m, half.n) if half.batch == 1 else (half.batch, half.m, half.n)
    if half.constant_b:
        shape = (half.batch * half.m, half.n)
    out = torch.empty(shape)
    if len(shape) == 3:
        if bias is None:
            return lambda a: torch.bmm(a, b, out=out)
        return lambda a: torch.baddbmm(bias, a, b, out=out)
    if bias is None:
        return lambda a: torch.mm(a, b, out=out)
    return lambda a: torch.addmm(bias, a, b, out=out)


def _convolution(
    half: Conv2d, arrays: Arrays, bias: torch.Tensor | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    from torch.nn.functional import conv2d

    weight = image(arrays["w"])
    where = (half.stride, half.padding, half.dilation)
    return lambda x: conv2d(x, weight, bias, *where)
