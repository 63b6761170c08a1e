"""GEMMs of the 3.x templates: mainloop and epilogue from the collective builders, for `sm_90a`.

The epilogue is a visitor tree with a node for each step, so chains of any order cost no special
case. `tensors` and `sizes` are those of the 2.x GEMM; there are no slices of k.
"""

from __future__ import annotations

from tuning.operators import Epilogue
from tuning.templates.cutlass.architecture import ELEMENT_BITS, WIDEST_ACCESS_BYTES
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import words
from tuning.templates.cutlass.render.epilogue import FUNCTORS
from tuning.templates.cutlass.render.gemm import SIZES

SCHEDULES = {
    "warp_specialized": ("KernelTmaWarpSpecialized", "TmaWarpSpecialized"),
    "pingpong": ("KernelTmaWarpSpecializedPingpong", "TmaWarpSpecialized"),
    "cooperative": ("KernelTmaWarpSpecializedCooperative", "TmaWarpSpecializedCooperative"),
}
"""Of the mainloop and of the epilogue."""
INCLUDES = (
    "cute/tensor.hpp",
    "cutlass/cutlass.h",
    "cutlass/epilogue/collective/collective_builder.hpp",
    "cutlass/epilogue/fusion/operations.hpp",
    "cutlass/epilogue/thread/activation.h",
    "cutlass/gemm/collective/collective_builder.hpp",
    "cutlass/gemm/device/gemm_universal_adapter.h",
    "cutlass/gemm/kernel/gemm_universal.hpp",
    "cutlass/util/packed_stride.hpp",
)
FUSION = "cutlass::epilogue::fusion::"


def body(kernel: Kernel) -> words.Body:
    """Return the part of a unit that is the kernel's own.

    Raises:
        ValueError: TMA or the tensor core cannot take the kernel's layout.
    """
    if kernel.align_c * ELEMENT_BITS[kernel.output] // 8 != WIDEST_ACCESS_BYTES:
        raise ValueError("align_c: TMA writes rows that are multiples of 16 bytes")
    if kernel.element == "int8" and kernel.layout != "tn":
        raise ValueError("layout: integer wgmma reads both operands along the depth: tn")
    epilogue = Epilogue.parse(kernel.epilogue)
    helpers = ("softplus.h",) if "softplus" in epilogue.steps else ()
    return words.Body(
        INCLUDES,
        helpers,
        _types(kernel, epilogue),
        "Gemm",
        _arguments(kernel, epilogue),
        "GemmKernel::MaxThreadsPerBlock",
        "GemmKernel::SharedStorageSize",
    )


def _cute(shape: tuple[int, ...]) -> str:
    return f"cute::Shape<{', '.join(f'cute::_{extent}' for extent in shape)}>"


def _tree(kernel: Kernel, epilogue: Epilogue) -> str:
    """Return declarations of the visitor tree: the scaled sum, then a node for each step."""
    output = words.ELEMENTS[kernel.output]
    nearest = "cutlass::FloatRoundStyle::round_to_nearest"
    last = len(epilogue.steps)

    def compute(function: str, place: int) -> str:
        to = output if place == last else words.COMPUTE
        return f"{FUSION}Sm90Compute<{function}, {to}, {words.COMPUTE}, {nearest}>"

    lines = [
        f"using Step0 = {FUSION}Sm90EVT<\n    {compute('cutlass::multiplies', 0)},\n"
        f"    {FUSION}Sm90ScalarBroadcast<{words.COMPUTE}>, {FUSION}Sm90AccFetch>;"
    ]
    vector = words.ELEMENTS[words.bias_element(kernel)]
    for place, step in enumerate(epilogue.steps, start=1):
        function = FUNCTORS.get(step, "cutlass::plus")
        inputs = [f"Step{place - 1}"]
        if step == "bias":
            inputs.append(f"{FUSION}Sm90RowBroadcast<0, TileShape, {vector}, {words.COMPUTE}>")
        elif step == "residual":
            inputs.append(f"{FUSION}Sm90SrcFetch<{output}>")
        lines.append(
            f"using Step{place} = {FUSION}Sm90EVT<\n    {compute(function, place)},\n    "
            + ",\n    ".join(inputs)
            + ">;"
        )
    return "\n\n".join(lines)


def _types(kernel: Kernel, epilogue: Epilogue) -> str:
    element, output = words.ELEMENTS[kernel.element], words.ELEMENTS[kernel.output]
    accumulate = words.ELEMENTS[kernel.accumulate]
    row, column = "cutlass::layout::RowMajor", "cutlass::layout::ColumnMajor"
    layout_b = column if kernel.layout == "tn" else row
    mainloop, tail = SCHEDULES[kernel.schedule]
    source = output if epilogue.has_residual else "void"
    store = words.template(
        "cutlass::epilogue::collective::CollectiveBuilder",
        [
            "cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp",
            "TileShape, ClusterShape",
            "cutlass::epilogue::collective::EpilogueTileAuto",
            f"{accumulate}, {words.COMPUTE}",
            f"{source}, {row}, {kernel.align_c}",
            f"{output}, {row}, {kernel.align_c}",
            f"cutlass::epilogue::{tail}",
            f"Step{len(epilogue.steps)}",
        ],
    )
    stages = (
        f"cutlass::gemm::collective::StageCount<{kernel.stages}>"
        if kernel.stages
        else "cutlass::gemm::collective::StageCountAutoCarveout<\n"
        "        static_cast<int>(sizeof(typename CollectiveEpilogue::SharedStorage))>"
    )
    loop = words.template(
        "cutlass::gemm::collective::CollectiveBuilder",
        [
            "cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp",
            f"{element}, {row}, {kernel.align_a}",
            f"{element}, {layout_b}, {kernel.align_b}",
            accumulate,
            "TileShape, ClusterShape",
            stages,
            f"cutlass::gemm::{mainloop}",
        ],
    )
    return (
        f"using TileShape = {_cute(kernel.tile)};\n"
        f"using ClusterShape = {_cute(kernel.cluster)};\n\n"
        f"{_tree(kernel, epilogue)}\n\n"
        f"using CollectiveEpilogue = {store}::CollectiveOp;\n\n"
        f"using CollectiveMainloop = {loop}::CollectiveOp;\n\n"
        "using Base = cutlass::gemm::kernel::GemmUniversal<\n"
        "    cute::Shape<int, int, int, int>, CollectiveMainloop, CollectiveEpilogue>;\n\n"
        "struct GemmKernel : Base {};\n\n"
        "using Gemm = cutlass::gemm::device::GemmUniversalAdapter<GemmKernel>;"
    )


def _arguments(kernel: Kernel, epilogue: Epilogue) -> str:
    bias, residual, d = words.operands(epilogue)
    tree = "{{alpha}, {}, {}}"
    for step in epilogue.steps:
        if step == "bias":
            vector = words.ELEMENTS[words.bias_element(kernel)]
            tree = f"{{{tree}, {{static_cast<{vector} *>({bias})}}, {{}}}}"
        else:
            tree = f"{{{tree}, {{}}, {{}}}}" if step == "residual" else f"{{{tree}, {{}}}}"
    element, output = words.ELEMENTS[kernel.element], words.ELEMENTS[kernel.output]
    source = f"static_cast<{output} *>({residual})" if epilogue.has_residual else "nullptr"
    strides = "\n".join(
        f"auto stride_{name} = cutlass::make_cute_packed_stride("
        f"GemmKernel::Stride{name.upper()}{{}}, {{{rows}, {columns}, batch}});"
        for name, rows, columns in (("a", "m", "k"), ("b", "n", "k"), ("c", "m", "n"))
    )
    return (
        f"{words.names(SIZES, ('m', 'n', 'k', 'batch'))}\n{strides}\n"
        "Gemm::Arguments made{\n"
        "    cutlass::gemm::GemmUniversalMode::kGemm, {m, n, k, batch},\n"
        f"    {{static_cast<{element} *>(tensors[0]), stride_a,\n"
        f"        static_cast<{element} *>(tensors[1]), stride_b}},\n"
        f"    {{{tree},\n        {source}, stride_c, static_cast<{output} *>({d}), stride_c}}}};\n"
        f"made.scheduler.max_swizzle_size = {kernel.swizzle};\nreturn made;"
    )
