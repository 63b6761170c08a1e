"""oneDNN with packed weights and post-ops, through the operators that PyTorch's compiler uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.operators.reference import Arrays
from tuning.rivals.base import Prepared, halves
from tuning.rivals.torch_steps import image, in_place, run_all, stored, tensor

if TYPE_CHECKING:
    import torch

_UNARY = {
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "hardswish": ("hardswish", ""),
    "silu": ("swish", ""),
}
"""Step -> attribute and algorithm; `none` is the exact GELU. Softplus has no post-op there."""


@dataclass(frozen=True)
class Fused:
    """How many steps of an epilogue go into oneDNN's call, and as what.

    Attributes:
        bias: whether the chain begins with a bias.
        residual: whether an addition follows.
        unary: the activation that comes next, or "".
    """

    bias: bool
    residual: bool
    unary: str

    @property
    def count(self) -> int:
        """Number of steps."""
        return self.bias + self.residual + bool(self.unary)

    @classmethod
    def of(cls, half: Gemm | Conv2d) -> Fused:
        """Return the longest beginning of the chain that one call computes.

        A convolution takes bias, addition and ReLU; a product an addition or an activation.
        """
        steps = list(half.epilogue.steps)
        bias = steps[:1] == ["bias"]
        rest = steps[bias:]
        residual = rest[:1] == ["residual"]
        rest = rest[residual:]
        unary = rest[0] if rest and rest[0] in _UNARY else ""
        if residual and (isinstance(half, Gemm) or unary != "relu"):
            unary = ""
        return cls(bias, residual, unary)


class OnednnVendor:
    """oneDNN with packed weights and post-ops, through the operators of `torch.compile`."""

    name: ClassVar[str] = "onednn"

    def supports(self, operator: Operator) -> str | None:
        """Return the reason for what is reached otherwise only: products with two inputs."""
        first = operator.first if isinstance(operator, Pair) else operator
        if isinstance(first, Gemm) and not first.constant_b:
            return "oneDNN is reached through packed weights, and B is an input here"
        return None

    def version(self) -> str:
        """Return oneDNN's version and the instruction set that PyTorch sees."""
        import torch

        lines = torch.__config__.show().splitlines()
        found = next((line for line in lines if "MKL-DNN" in line), "of unknown version")
        release = found.partition("MKL-DNN")[2].strip(" )").partition(" ")[0]
        return f"oneDNN {release}, {torch.backends.cpu.get_cpu_capability()}"

    def prepare(self, operator: Operator, operands: Arrays, threads: int) -> Prepared:
        """Return the calls; oneDNN allocates their outputs itself."""
        import torch

        if reason := self.supports(operator):
            raise ValueError(reason)
        torch.set_num_threads(threads)
        calls: list[Callable[[torch.Tensor], torch.Tensor]] = []
        notes = []
        parts = halves(operator, operands)
        with torch.inference_mode():
            for half, arrays in parts:
                fused = Fused.of(half)
                calls.append(_half(half, arrays, fused))
                steps = half.epilogue.steps
                split = "+".join(steps[: fused.count]) or "none"
                apart = "+".join(steps[fused.count :]) or "none"
                notes.append(f"fused {split}, apart {apart}")
        first, given = parts[0]
        source = tensor(first, given["x" if isinstance(first, Conv2d) else "a"])
        dtype = operator.epilogue.out_dtype
        made: list[torch.Tensor] = []

        def run() -> None:
            made.clear()  # its memory is the next output's, as ours is written over
            with torch.inference_mode():
                made.append(run_all(calls, source, dtype))

        return Prepared(run, lambda: stored(made[0], parts[-1][0]), "; ".join(notes))


def _half(
    half: Gemm | Conv2d, arrays: Arrays, fused: Fused
) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    bias = torch.from_numpy(arrays["bias"]) if fused.bias else None
    other = tensor(half, arrays["residual"]) if fused.residual else None
    rest = in_place(half.epilogue.steps[fused.count :], half, arrays)
    build = _convolution if isinstance(half, Conv2d) else _product
    product = build(half, arrays, bias, other, fused.unary)

    def call(source: torch.Tensor) -> torch.Tensor:
        found = product(source)
        for step in rest:
            step(found)
        return found

    return call


def _product(half: Any, arrays: Arrays, bias: Any, other: Any, unary: str) -> Callable[[Any], Any]:
    import torch

    library = torch.ops.mkldnn
    columns = torch.from_numpy(arrays["b"]).t().contiguous()
    packed = library._reorder_linear_weight(columns, half.batch * half.m)
    if other is not None:
        return lambda a: library._linear_pointwise(a, other, packed, bias, "add")
    attribute, algorithm = _UNARY.get(unary, ("none", ""))
    return lambda a: library._linear_pointwise(a, packed, bias, attribute, [], algorithm)


def _convolution(
    half: Any, arrays: Arrays, bias: Any, other: Any, unary: str
) -> Callable[[Any], Any]:
    import torch

    library = torch.ops.mkldnn
    where = (list(half.padding), list(half.stride), list(half.dilation), 1)
    shape = [half.batch, half.in_channels, half.height, half.width]
    packed = library._reorder_convolution_weight(image(arrays["w"]), *where, shape)
    if other is not None:
        tail = ("add", 1.0, unary or None, [], None)
        return lambda x: library._convolution_pointwise(x, other, packed, bias, *where, *tail)
    attribute, algorithm = _UNARY.get(unary, ("none", ""))
    tail = (attribute, [], algorithm)
    return lambda x: library._convolution_pointwise(x, packed, bias, *where, *tail)
