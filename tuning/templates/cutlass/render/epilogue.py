"""From a chain of steps to an output operator of the library, or to one of the project's.

Of the 2.x templates there are three forms. *Plain*: at most one activation. *Source*: a bias or a
residual, which takes the place of C (a bias with stride zero, as in the library's example 17), then
at most one activation. *Chain*: everything else; the kernel "with broadcast" hands the bias over as
a vector and the residual as C, and the operator in `source/chain.h` does the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuning.operators import Epilogue
from tuning.operators.epilogue import ACTIVATIONS
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render.words import COMPUTE, ELEMENTS, bias_element, template

Form = Literal["plain", "source", "chain"]

OPERATORS = {
    "": ("LinearCombination", "linear_combination.h"),
    "relu": ("LinearCombinationRelu", "linear_combination_relu.h"),
    "gelu": ("LinearCombinationGELU", "linear_combination_gelu.h"),
    "hardswish": ("LinearCombinationHardSwish", "linear_combination_hardswish.h"),
    "silu": ("LinearCombinationSilu", "linear_combination_silu.h"),
}
"""Activation -> the library's output operator and its header; Softplus has none."""
FUNCTORS = {
    "": "cutlass::epilogue::thread::Identity",
    "relu": "cutlass::epilogue::thread::ReLu",
    "gelu": "cutlass::epilogue::thread::GELU",
    "hardswish": "cutlass::epilogue::thread::HardSwish",
    "silu": "cutlass::epilogue::thread::SiLu",
    "softplus": "triptych::Softplus",
}
THREAD = "cutlass/epilogue/thread/"
GENERIC = "linear_combination_generic.h"


@dataclass(frozen=True)
class OutputOp:
    """An output operator.

    Attributes:
        form: how bias and residual reach it.
        text: its type.
        includes: headers that define it.
        helpers: of the project's own sources, those that it needs.
    """

    form: Form
    text: str
    includes: tuple[str, ...]
    helpers: tuple[str, ...] = ()


def form_of(epilogue: Epilogue, output: str = "float16") -> Form:
    """Return how the 2.x templates compute a chain of steps.

    The place of C has the output's type, so a bias of float32 beside an integer output is a vector.
    Bytes are a chain in any case: the library stops at the type's ends only where it converts four
    values at once, and on no CPU; `source/chain.h` always does.
    """
    steps = epilogue.steps
    linear = [step for step in steps if step not in ACTIVATIONS]
    if len(steps) - len(linear) > 1 or steps[: len(linear)] != tuple(linear):
        return "chain"
    if output == "int8" or len(linear) > 1 or ("bias" in linear and output == "int32"):
        return "chain"
    return "source" if linear else "plain"


def splits(kernel: Kernel) -> bool:
    """Return whether the sum over k may be split among threadblocks.

    A later slice meets the sum so far in the place of C, which a chain has given to the residual.
    Integer sums are not split: the sum so far would be rounded to bytes.
    """
    return (
        kernel.element != "int8"
        and form_of(Epilogue.parse(kernel.epilogue), kernel.output) != "chain"
    )


def output_op(kernel: Kernel, text: str) -> OutputOp:
    """Return the operator for the steps `text` of a kernel's (last) epilogue, 2.x templates."""
    epilogue = Epilogue.parse(text)
    form = form_of(epilogue, kernel.output)
    types = [ELEMENTS[kernel.output], str(kernel.align_c), ELEMENTS[kernel.accumulate], COMPUTE]
    if form == "chain":
        return _chain(kernel, epilogue)
    activation = next((step for step in epilogue.steps if step in ACTIVATIONS), "")
    alone = "Default" if kernel.family == "gemm" else "OnlyAlphaScaling"
    scale = "NoBetaScaling" if form == "source" else alone  # later slices of k read C
    types.append(f"cutlass::epilogue::thread::ScaleType::{scale}")
    if activation == "softplus":
        name = "cutlass::epilogue::thread::LinearCombinationGeneric"
        made = template(name, [FUNCTORS[activation], *types])
        return OutputOp(form, made, (THREAD + GENERIC,), ("softplus.h",))
    name, header = OPERATORS[activation]
    made = template(f"cutlass::epilogue::thread::{name}", types)
    return OutputOp(form, made, (THREAD + header,))


def _chain(kernel: Kernel, epilogue: Epilogue) -> OutputOp:
    words = {"bias": "triptych::AddBias", "residual": "triptych::AddResidual"}
    steps = [words.get(step) or f"triptych::Activate<{FUNCTORS[step]}>" for step in epilogue.steps]
    made = template(
        "triptych::Chain",
        [
            *(ELEMENTS[kernel.output], ELEMENTS[kernel.accumulate], COMPUTE),
            *(ELEMENTS[bias_element(kernel)], str(kernel.align_c)),
            "true" if epilogue.has_residual else "false",
            *steps,
        ],
    )
    helpers = ("softplus.h", "chain.h") if "softplus" in epilogue.steps else ("chain.h",)
    return OutputOp("chain", made, (THREAD + "activation.h",), helpers)


def between_op(kernel: Kernel) -> OutputOp:
    """Return the operator that stands between two products: a bias or none, an activation or none.

    Raises:
        ValueError: the steps are others.
    """
    steps = Epilogue.parse(kernel.epilogue0).steps
    rest = steps[1:] if steps[:1] == ("bias",) else steps
    if len(rest) > 1 or any(step not in ACTIVATIONS for step in rest):
        raise ValueError(f"epilogue0: {kernel.epilogue0!r} is no bias followed by an activation")
    activation = rest[0] if rest else ""
    rows, columns, _ = kernel.instruction
    count = str(rows * columns // 32)
    types = [ELEMENTS[kernel.element], count, ELEMENTS[kernel.accumulate], COMPUTE]
    if activation == "relu":
        types.append("cutlass::epilogue::thread::ScaleType::OnlyAlphaScaling")
        made = template("cutlass::epilogue::thread::LinearCombinationRelu", types)
        return OutputOp("plain", made, (THREAD + OPERATORS["relu"][1],))
    made = template("triptych::Between", [FUNCTORS[activation], *types])
    helpers = ("softplus.h", "between.h") if activation == "softplus" else ("between.h",)
    return OutputOp("plain", made, (THREAD + "activation.h", THREAD + "scale_type.h"), helpers)
