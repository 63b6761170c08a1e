"""What a kernel's functions are called with: tensors and sizes, from operator and kernel."""

from __future__ import annotations

from dataclasses import dataclass

from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import problem_of
from tuning.templates.cutlass.render import words


@dataclass(frozen=True)
class Tensor:
    """One argument.

    Attributes:
        name: as the operator has it; a pair's first bias is there even if it adds none.
        shape: as it lies in memory, row-major.
        dtype: of its elements.
        role: `input`, `weight`, `bias`, `residual`, `zeros` (must hold them) or `output`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str


def tensors_of(kernel: Kernel) -> dict[str, str]:
    """Return name -> element of what `P_run` takes, in its order.

    The first bias of a pair is there even if the epilogue adds none: it must hold zeros then.
    """
    epilogue = Epilogue.parse(kernel.epilogue)
    tail = "1" if kernel.is_pair else ""
    image, weight = ("x", "w") if "conv" in kernel.family else ("a", "b")
    found = {image: kernel.element, weight: kernel.element}
    if kernel.is_pair:
        found |= {"bias": words.FIRST_BIAS, f"{weight}1": kernel.element}
    if epilogue.has_bias:
        found[f"bias{tail}"] = words.bias_element(kernel)
    if epilogue.has_residual:
        found[f"residual{tail}"] = kernel.output
    return found | {"d": kernel.output}


def arguments_of(operator: Operator, kernel: Kernel) -> tuple[Tensor, ...]:
    """Return the tensors of a call, with the shapes in which they lie in memory."""
    known = {operand.name: operand for operand in operator.operands()}
    found = []
    for name, dtype in tensors_of(kernel).items():
        shape: tuple[int, ...]
        if name in known:
            shape, role = known[name].shape, known[name].role
        else:  # the first bias of a pair that adds none
            first = operator.first if isinstance(operator, Pair) else operator
            shape, role = (first.operands()[-1].shape[-1],), "zeros"
        if name in ("b", "b1") and kernel.layout == "tn":
            shape = (*shape[:-2], *reversed(shape[-2:]))
        found.append(Tensor(name, shape, dtype, str(role)))
    return tuple(found)


def sizes_of(operator: Operator, kernel: Kernel) -> tuple[int, ...]:
    """Return `sizes`: see `gemm.SIZES`, `conv2d.SIZES` and `pair`."""
    if isinstance(operator, Pair):
        first, second = operator.first, operator.second
        if isinstance(first, Conv2d):
            return (*_conv(first), problem_of(second).n)
        problem = problem_of(first)
        return (problem.m, problem.n, problem.k, problem_of(second).n)
    if isinstance(operator, Conv2d):
        return (*_conv(operator), kernel.split_k)
    if not isinstance(operator, Gemm):
        raise TypeError(f"no template for {type(operator).__name__}")
    problem = problem_of(operator)
    return (problem.m, problem.n, problem.k, problem.batch, kernel.split_k)


def _conv(conv: Conv2d) -> tuple[int, ...]:
    image = (conv.batch, conv.height, conv.width, conv.in_channels, conv.out_channels)
    return (*image, *conv.kernel, *conv.stride, *conv.padding, *conv.dilation)
