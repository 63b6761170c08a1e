"""Forward convolutions of the 2.x templates: implicit GEMMs over NHWC images and OHWI weights.

`tensors` are x, w, bias and residual where there are, d; for `sizes` see `SIZES`.
"""

from __future__ import annotations

from tuning.operators import Epilogue
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import words
from tuning.templates.cutlass.render.epilogue import OutputOp, output_op

SIZES = (
    *("n", "h", "w", "c", "k", "r", "s"),
    *("stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w", "slices"),
)
"""Images, rows, columns, channels in and out, rows and columns of the kernel, and how it moves."""
NHWC = "cutlass::layout::TensorNHWC"
PROBLEM = """int p = (h + 2 * pad_h - dilation_h * (r - 1) - 1) / stride_h + 1;
int q = (w + 2 * pad_w - dilation_w * (s - 1) - 1) / stride_w + 1;
cutlass::conv::Conv2dProblemSize problem(
    {n, h, w, c}, {k, r, s, c}, {pad_h, pad_h, pad_w, pad_w}, {stride_h, stride_w},
    {dilation_h, dilation_w}, {n, p, q, k}, cutlass::conv::Mode::kCrossCorrelation, slices);"""
"""Output rows and columns are given: the library's own formula is wrong for dilated kernels."""


def body(kernel: Kernel) -> words.Body:
    """Return the part of a unit that is the kernel's own."""
    op = output_op(kernel, kernel.epilogue)
    with_vector = op.form == "chain"
    name = "DefaultConv2dFpropWithBroadcast" if with_vector else "DefaultConv2dFprop"
    header = "default_conv2d_fprop_with_broadcast" if with_vector else "default_conv2d_fprop"
    element = words.ELEMENTS[kernel.element]
    conv = words.template(
        f"cutlass::conv::kernel::{name}",
        [
            f"{element}, {NHWC}",
            f"{element}, {NHWC}",
            f"{words.ELEMENTS[kernel.output]}, {NHWC}",
            words.ELEMENTS[kernel.accumulate],
            "cutlass::arch::OpClassTensorOp",
            words.arch_tag(kernel),
            words.shape(kernel.tile),
            words.shape(kernel.warp),
            words.shape(kernel.instruction),
            "OutputOp",
            words.swizzle(kernel),
            str(kernel.stages),
            words.math_operator(kernel),
            "cutlass::conv::IteratorAlgorithm::kOptimized",
            "cutlass::conv::StrideSupport::kStrided",
            f"{kernel.align_a}, {kernel.align_b}",
        ],
    )
    types = (
        f"using OutputOp = {op.text};\n\nusing Base = {conv}::Kernel;\n\n"
        "struct Conv2dFprop : Base {};\n\n"
        "using Conv2d = cutlass::conv::device::ImplicitGemmConvolution<Conv2dFprop>;"
    )
    includes = (
        f"cutlass/conv/kernel/{header}.h",
        "cutlass/conv/device/implicit_gemm_convolution.h",
    )
    return words.Body(
        (*includes, *op.includes),
        op.helpers,
        types,
        "Conv2d",
        _arguments(kernel, op),
        "Conv2dFprop::kThreadCount",
        "sizeof(Conv2dFprop::SharedStorage)",
    )


def reference(element: str, pointer: str, layout: str) -> str:
    """Return a reference to a tensor, from its pointer and layout."""
    return f"{{static_cast<{words.ELEMENTS[element]} *>({pointer}), {layout}}}"


def _arguments(kernel: Kernel, op: OutputOp) -> str:
    epilogue = Epilogue.parse(kernel.epilogue)
    bias, residual, d = words.operands(epilogue)
    source = residual if op.form == "chain" or epilogue.has_residual else bias
    rows = "like_d" if epilogue.has_residual else "Conv2d::LayoutC::Stride(0)"
    refs = ",\n    ".join(
        (
            reference(kernel.element, "tensors[0]", f"{NHWC}::packed({{n, h, w, c}})"),
            reference(kernel.element, "tensors[1]", f"{NHWC}::packed({{k, r, s, c}})"),
            reference(kernel.output, source, rows),
            reference(kernel.output, d, "like_d"),
        )
    )
    scalars = "{alpha}" if op.form == "chain" else "{alpha, 0.0f}"
    vector = f", {bias}, nullptr, 0, 0" if op.form == "chain" else ""
    return (
        f"{words.names(SIZES)}\n{PROBLEM}\n"
        f"auto like_d = {NHWC}::packed({{n, p, q, k}});\n"
        f"return {{problem,\n    {refs},\n    {scalars}, "
        f"cutlass::conv::SplitKMode::kSerial{vector}}};"
    )
