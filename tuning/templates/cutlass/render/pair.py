"""Back-to-back products of the 2.x templates: the kernels of the library's example 13.

A GEMM pair's `tensors` are a, b, bias, b1, bias1 or residual1 where there is, d; its `sizes` are
m, n, k, n1. A convolution pair's are x, w, bias, w1, ..., d, and the first one's sizes, then the
second one's channels. `bias` is there in any case, zeros if the epilogue adds none.
"""

from __future__ import annotations

from tuning.operators import Epilogue
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import conv2d, words
from tuning.templates.cutlass.render.epilogue import OutputOp, between_op, output_op

GEMM_SIZES = ("m", "n", "k", "n1")
CONV_SIZES = (*conv2d.SIZES[:-1], "k1")
VECTOR = "cutlass::layout::RowMajor"


def body(kernel: Kernel) -> words.Body:
    """Return the part of a unit that is the kernel's own.

    Raises:
        ValueError: the epilogues are none that the kernels have, or the elements are integers.
    """
    if kernel.element == "int8":
        raise ValueError("element: the library's int8 pairs want interleaved layouts")
    between, last = between_op(kernel), output_op(kernel, kernel.epilogue)
    if last.form == "chain":
        raise ValueError(
            f"epilogue: {kernel.epilogue!r} is no bias or residual followed by an activation"
        )
    is_conv = kernel.family == "b2b_conv"
    made, includes = (_conv if is_conv else _gemm)(kernel)
    types = (
        f"using OutputOp0 = {between.text};\n\nusing Base1 = {last.text};\n\n"
        f"struct OutputOp1 : Base1 {{\n  using Base1::Base1;\n}};\n\n{made}"
    )
    inner = "B2bKernel" if is_conv else "B2bGemm::B2bGemmKernel"
    helpers = dict.fromkeys((*between.helpers, *last.helpers))
    return words.Body(
        (*includes, *between.includes, *last.includes),
        tuple(helpers),
        types,
        "B2bConv2d" if is_conv else "B2bGemm",
        (_conv_arguments if is_conv else _gemm_arguments)(kernel, last),
        f"{inner}::kThreadCount",
        f"sizeof({inner}::SharedStorage)",
    )


def _common(kernel: Kernel) -> list[str]:
    return [
        words.ELEMENTS[kernel.accumulate],
        "cutlass::arch::OpClassTensorOp",
        words.arch_tag(kernel),
        words.shape(kernel.tile),
        words.shape(kernel.tile1),
        words.shape(kernel.warp),
        words.shape(kernel.warp1),
        words.shape(kernel.instruction),
        "OutputOp0, OutputOp1",
        words.swizzle(kernel),
        str(kernel.stages),
    ]


def _gemm(kernel: Kernel) -> tuple[str, tuple[str, ...]]:
    element = words.ELEMENTS[kernel.element]
    gemm = words.template(
        "cutlass::gemm::device::B2bGemm",
        [
            f"{element}, cutlass::layout::RowMajor",
            f"{element}, cutlass::layout::ColumnMajor",
            f"{words.ELEMENTS[kernel.output]}, cutlass::layout::RowMajor",
            *_common(kernel),
            "true" if kernel.residence == "shared" else "false",
            f"{kernel.align_a}, {kernel.align_b}",
            words.math_operator(kernel),
        ],
    )
    return f"using B2bGemm = {gemm};", ("device/b2b_gemm.h",)


def _conv(kernel: Kernel) -> tuple[str, tuple[str, ...]]:
    element, nhwc = words.ELEMENTS[kernel.element], conv2d.NHWC
    conv = words.template(
        "cutlass::conv::kernel::DefaultB2bConv2dFprop",
        [
            f"{element}, {nhwc}",
            f"{element}, {nhwc}",
            f"{words.ELEMENTS[kernel.output]}, {nhwc}",
            *_common(kernel),
            words.math_operator(kernel),
            "cutlass::conv::IteratorAlgorithm::kOptimized",
            *(["true"] if kernel.residence == "shared" else []),
        ],
    )
    tail = "_smem_accumulator" if kernel.residence == "shared" else ""
    generation = "sm80" if words.arch_tag(kernel).endswith("80") else "sm75"
    made = (
        f"using Base = {conv}::Kernel;\n\nstruct B2bKernel : Base {{}};\n\n"
        "using B2bConv2d = cutlass::conv::device::B2bImplicitGemmConvolution<B2bKernel>;"
    )
    return made, (
        f"kernel/default_b2b_conv2d_fprop{tail}_{generation}.h",
        "device/b2b_implicit_gemm_convolution.h",
    )


def _gemm_arguments(kernel: Kernel, last: OutputOp) -> str:
    epilogue = Epilogue.parse(kernel.epilogue)
    bias, residual, d = words.operands(epilogue, 4)
    source = residual if epilogue.has_residual else bias
    ldc = "n1" if epilogue.has_residual else "0"
    one = conv2d.reference
    none = f"{{nullptr, {VECTOR}(0)}}"
    refs = ",\n    ".join(
        (
            one(kernel.element, "tensors[0]", "k"),
            one(kernel.element, "tensors[1]", "k"),
            "{nullptr, n}",
            none,
            one(words.FIRST_BIAS, "tensors[2]", f"{VECTOR}(0)"),
            one(kernel.element, "tensors[3]", "n"),
            one(kernel.output, source, ldc),
            one(kernel.output, d, "n1"),
        )
    )
    return (
        f"{words.names(GEMM_SIZES)}\n"
        "return {cutlass::gemm::GemmUniversalMode::kGemm, {m, n, k}, {m, n1, n},\n"
        f"    {refs},\n    0, 0, 0, 0, 0, 0, 0, {{1.0f, 0.0f}}, {{alpha, 0.0f}}, 1}};"
    )


def _conv_arguments(kernel: Kernel, last: OutputOp) -> str:
    epilogue = Epilogue.parse(kernel.epilogue)
    bias, residual, d = words.operands(epilogue, 4)
    source = residual if epilogue.has_residual else bias
    nhwc, one = conv2d.NHWC, conv2d.reference
    rows = "like_d" if epilogue.has_residual else "B2bConv2d::LayoutC::Stride(0)"
    none = f"{{nullptr, {VECTOR}(0)}}"
    refs = ",\n    ".join(
        (
            one(kernel.element, "tensors[0]", f"{nhwc}::packed({{n, h, w, c}})"),
            one(kernel.element, "tensors[1]", f"{nhwc}::packed({{k, r, s, c}})"),
            "{nullptr, B2bConv2d::LayoutC::Stride(0)}",
            none,
            one(words.FIRST_BIAS, "tensors[2]", f"{VECTOR}(0)"),
            one(kernel.element, "tensors[3]", f"{nhwc}::packed({{k1, 1, 1, k}})"),
            one(kernel.output, source, rows),
            one(kernel.output, d, "like_d"),
        )
    )
    return (
        f"{words.names(CONV_SIZES)}\nint slices = 1;\n{conv2d.PROBLEM}\n"
        "cutlass::conv::Conv2dProblemSize problem1(\n"
        "    {n, p, q, k}, {k1, 1, 1, k}, {0, 0, 0, 0}, {1, 1}, {1, 1},\n"
        "    {n, p, q, k1}, cutlass::conv::Mode::kCrossCorrelation, 1);\n"
        f"auto like_d = {nhwc}::packed({{n, p, q, k1}});\n"
        f"return {{problem, problem1,\n    {refs},\n    {{1.0f, 0.0f}}, {{alpha, 0.0f}}}};"
    )
