"""GEMMs and batched GEMMs of the 2.x templates: `cutlass::gemm::kernel::DefaultGemmUniversal`.

A kernel is a type of its own, as the library's generator has it, so that its name tells in the
compiler's report which it is.

`tensors` are A, B, bias and residual where there are, D; `sizes` are m, n, k, batch, slices of k.
"""

from __future__ import annotations

from tuning.operators import Epilogue
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import words
from tuning.templates.cutlass.render.epilogue import OutputOp, output_op

BASE = "cutlass/gemm/device/gemm_universal_base.h"
"""The adapter above it exchanges A and B where D is row-major, for kernels written that way."""
SIZES = ("m", "n", "k", "batch", "slices")


def body(kernel: Kernel) -> words.Body:
    """Return the part of a unit that is the kernel's own."""
    op = output_op(kernel, kernel.epilogue)
    with_vector = op.form == "chain"
    name = "DefaultGemmWithBroadcast" if with_vector else "DefaultGemmUniversal"
    header = "default_gemm_with_broadcast" if with_vector else "default_gemm_universal"
    column = "cutlass::layout::ColumnMajor"
    row = "cutlass::layout::RowMajor"
    element, plain = words.ELEMENTS[kernel.element], "cutlass::ComplexTransform::kNone"
    base = words.template(
        f"cutlass::gemm::kernel::{name}",
        [
            f"{element}, {row}, {plain}, {kernel.align_a}",
            f"{element}, {column if kernel.layout == 'tn' else row}, {plain}, {kernel.align_b}",
            f"{words.ELEMENTS[kernel.output]}, {row}",
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
        ],
    )
    types = (
        f"using OutputOp = {op.text};\n\nusing Base = {base}::GemmKernel;\n\n"
        "struct GemmKernel : Base {};\n\n"
        "using Gemm = cutlass::gemm::device::GemmUniversalBase<GemmKernel>;"
    )
    return words.Body(
        (f"cutlass/gemm/kernel/{header}.h", BASE, *op.includes),
        op.helpers,
        types,
        "Gemm",
        _arguments(kernel, op),
        "GemmKernel::kThreadCount",
        "sizeof(GemmKernel::SharedStorage)",
    )


def _arguments(kernel: Kernel, op: OutputOp) -> str:
    epilogue = Epilogue.parse(kernel.epilogue)
    bias, residual, d = words.operands(epilogue)
    mode, count = ("kBatched", "batch") if kernel.family == "batched" else ("kGemm", "slices")
    ldb = "k" if kernel.layout == "tn" else "n"
    source = residual if op.form == "chain" or epilogue.has_residual else bias
    has_rows = epilogue.has_residual
    stride_c, ldc = ("int64_t(m) * n", "n") if has_rows else ("0", "0")
    strides = f"int64_t(m) * k, int64_t(n) * k, {stride_c}, int64_t(m) * n"
    names = words.names(SIZES, ("m", "n", "k", count))
    if op.form == "chain":
        tail = f"{bias}, nullptr,\n    {strides}, 0, 0,\n    k, {ldb}, {ldc}, n, 0, 0"
        scalars = "{alpha}"
    else:
        tail = f"{strides},\n    k, {ldb}, {ldc}, n"
        scalars = "{alpha, 0.0f}"
    pointers = f"tensors[0], tensors[1], {source}, {d}"
    joint = ", " if op.form == "chain" else ",\n    "
    return (
        f"{names}\n"
        f"return {{cutlass::gemm::GemmUniversalMode::{mode}, {{m, n, k}}, {count}, {scalars},\n"
        f"    {pointers}{joint}{tail}}};"
    )
