"""Output operators and extents of CUTLASS kernels, compiled for the CPU: no GPU is needed to run
them, for the library's functors are host code too."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuning.compile import ObjectCache
from tuning.operators import Epilogue
from tuning.templates.base import Source
from tuning.templates.cutlass.library import with_headers
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import conv2d, unit, words
from tuning.templates.cutlass.render.epilogue import OutputOp, between_op, output_op

STORED = {
    "float16": np.float16,
    "bfloat16": np.uint16,
    "float32": np.float32,
    "int8": np.int8,
    "int32": np.int32,
}
FLAGS = (
    *("-std=c++17", "-O2", "-w", "-shared", "-Xcompiler", "-fPIC,-fno-strict-aliasing"),
    *("--expt-relaxed-constexpr", "-gencode", "arch=compute_80,code=sm_80"),
)
HEAD = """#include <cstdint>
#include <cuda_runtime.h>
#include "cutlass/cutlass.h"
#include "cutlass/array.h"
#include "cutlass/functional.h"
#include "cutlass/numeric_conversion.h"
#include "cutlass/epilogue/thread/scale_type.h"
#include "cutlass/gemm/threadblock/threadblock_swizzle.h"
#include "cutlass/conv/convolution.h"
#include "cutlass/conv/conv2d_problem_size.h"
"""
EXTENTS = f"""
extern "C" void conv_extents(int64_t const *sizes, int64_t *found) {{
  {words.names(conv2d.SIZES)}
  {conv2d.PROBLEM}
  auto gemm = cutlass::conv::implicit_gemm_problem_size(cutlass::conv::Operator::kFprop, problem);
  int64_t const told[] = {{problem.P, problem.Q, gemm.m(), gemm.n(), gemm.k()}};
  for (int i = 0; i < 5; ++i) found[i] = told[i];
}}
extern "C" void grid(int64_t const *extents, int64_t const *tile, int slices, int64_t *found) {{
  cutlass::gemm::threadblock::GemmIdentityThreadblockSwizzle<1> swizzle;
  auto shape = swizzle.get_tiled_shape(
      {{int(extents[0]), int(extents[1]), int(extents[2])}},
      {{int(tile[0]), int(tile[1]), int(tile[2])}}, slices);
  auto blocks = swizzle.get_grid_shape(shape);
  found[0] = blocks.x; found[1] = blocks.y; found[2] = blocks.z;
}}
"""


def _function(name: str, kernel: Kernel, op: OutputOp, between: bool) -> str:
    """Return a function that puts whole fragments through the operator, maybe in two slices."""
    chain = op.form == "chain"
    bias = "float" if between else words.ELEMENTS[words.bias_element(kernel)]
    made = words.ELEMENTS[kernel.element if between else kernel.output]
    sums = words.ELEMENTS[kernel.accumulate]
    has_residual = Epilogue.parse(kernel.epilogue).has_residual and not between
    if between:
        call = "d = op(sum, compute, compute);"
    elif chain:
        source = "source, " if has_residual else ""
        call = f"op(d, unused, sum, {source}compute);"
    else:
        call = "d = op(sum, source);" if op.form == "source" else "d = op(sum);"
    read = "residual" if has_residual else f"reinterpret_cast<{made} const *>(bias)"
    second = (
        ""
        if chain or between
        else (
            "if (slices > 1) { Op last{Op::Params(alpha)}; last.set_k_partition(1, 2);"
            " Sum rest; for (int j = 0; j < Op::kCount; ++j) rest[j] = sums[count + i + j];"
            " d = last(rest, d); }"
        )
    )
    first = "" if chain or between else "if (slices > 1) op.set_k_partition(0, 2);"
    return f"""
namespace {name}_host {{ using Op = {op.text}; }}
extern "C" void {name}({sums} const *sums, {bias} const *bias, {made} const *residual,
    {made} *out, float alpha, int count, int slices) {{
  using Op = {name}_host::Op;
  using Sum = cutlass::Array<{sums}, Op::kCount>;
  for (int i = 0; i + Op::kCount <= count; i += Op::kCount) {{
    Sum sum; cutlass::Array<float, Op::kCount> compute;
    cutlass::Array<{made}, Op::kCount> source, d, unused;
    for (int j = 0; j < Op::kCount; ++j) {{
      sum[j] = sums[i + j]; compute[j] = float(bias[i + j]); source[j] = ({read})[i + j];
    }}
    Op op{{Op::Params(alpha)}};
    {first}
    {call}
    {second}
    for (int j = 0; j < Op::kCount; ++j) out[i + j] = d[j];
  }}
}}"""


class Host:
    """The operators of some kernels, compiled."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels = list(kernels)
        parts, includes, helpers = [], dict[str, None](), dict[str, None]()
        for place, kernel in enumerate(self.kernels):
            made = [("last", output_op(kernel, kernel.epilogue))]
            if kernel.is_pair:
                made.append(("between", between_op(kernel)))
            for name, op in made:
                includes |= dict.fromkeys(op.includes)
                helpers |= dict.fromkeys(op.helpers)
                parts.append(_function(f"{name}{place}", kernel, op, name == "between"))
        own = [(unit.HERE / name).read_text("utf-8") for name in unit.HELPERS if name in helpers]
        lines = [HEAD, *(f'#include "{name}"' for name in includes), "namespace triptych {", *own]
        text = "\n".join([*lines, "}", *parts, EXTENTS])
        source = with_headers(Source(text, unit.COMPILER, FLAGS, suffix=".cu"))
        self.path: Path = ObjectCache().require(source)
        self.library = ctypes.CDLL(str(self.path))

    def apply(
        self,
        name: str,
        sums: NDArray,
        bias: NDArray,
        residual: NDArray,
        alpha: float = 1.0,
        slices: int = 1,
    ) -> NDArray:
        """Return what an operator makes of whole arrays; with two slices `sums` holds both."""
        kind, place = name.rstrip("0123456789"), int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))
        kernel = self.kernels[place]
        element = kernel.element if kind == "between" else kernel.output
        bias_kind = "float32" if kind == "between" else words.bias_element(kernel)
        count = sums.size // slices
        given = [
            np.ascontiguousarray(sums, STORED[kernel.accumulate]),
            np.ascontiguousarray(bias, STORED[bias_kind]),
            np.ascontiguousarray(residual, STORED[element]),
        ]
        out = np.zeros(count, STORED[element])
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*given, out)]
        getattr(self.library, name)(*pointers, ctypes.c_float(alpha), count, slices)
        return out

    def extents(self, sizes: Sequence[int]) -> list[int]:
        """Return output rows and columns and the implicit GEMM's m, n, k."""
        found = (ctypes.c_int64 * 5)()
        self.library.conv_extents((ctypes.c_int64 * len(sizes))(*sizes), found)
        return list(found)

    def blocks(self, extents: Sequence[int], tile: Sequence[int], slices: int) -> int:
        """Return the number of threadblocks of a grid."""
        found = (ctypes.c_int64 * 3)()
        three = ctypes.c_int64 * 3
        self.library.grid(three(*extents), three(*tile), slices, found)
        return found[0] * found[1] * found[2]
