"""The epilogue as a pass of its own over memory: what epilogue fusion saves (Bolt section 3.1)."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.operators import Operator
from tuning.space import Candidate
from tuning.templates.base import Source
from tuning.templates.cpu import render as rendering

_PASS = """
extern "C" __attribute__((visibility("default")))
void triptych_epilogue(void* const* args, const int64_t* dims, const int64_t* blocks, void*) {
    using E = triptych_unit::E;
    float* d = (float*)args[0];
    const float *bias = (const float*)args[1], *residual = (const float*)args[2];
    int64_t rows = dims[0], columns = dims[1];
    int threads = (int)blocks[0];
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < rows; ++i) {
        float* p = d + i * columns;
        const float* q = residual + i * columns;
        for (int64_t j = 0; j < columns; j += LANES) {
            int here = (int)std::min<int64_t>(LANES, columns - j);
            bool whole = here == LANES;
            vf b{}, r{};
            if (E::BIAS) b = whole ? load(bias + j) : load_part(bias + j, here);
            if (E::RESIDUAL) r = whole ? load(q + j) : load_part(q + j, here);
            vf x = E::apply(whole ? load(p + j) : load_part(p + j, here), b, r);
            if (whole) put(p + j, x);
            else put_part(p + j, x, here);
        }
    }
}
"""


def render_pass(operator: Operator, candidate: Candidate) -> Source:
    """Return a source that holds, beside the candidate's kernel, its epilogue as a pass.

    Arithmetic and vectors are those of the fused kernel, so that only the trip through memory
    differs.

    Raises:
        ValueError: the output is not float32, which a pass in place needs.
    """
    if operator.epilogue.out_dtype != "float32":
        raise ValueError(
            f"epilogue: a pass in place stores float32, not {operator.epilogue.text()}"
        )
    source = rendering.render(operator, candidate)
    return replace(source, text=source.text + _PASS)


class EpiloguePass:
    """Applies an operator's epilogue to a tensor in place, on `threads` threads.

    It is called like a kernel: `entry` is what `Kernel.entry` is.
    """

    def __init__(
        self,
        path: Path,
        operator: Operator,
        operands: dict[str, NDArray[Any]],
        output: NDArray[np.float32],
        threads: int,
    ) -> None:
        self._run = ctypes.CDLL(str(path)).triptych_epilogue
        self._run.restype = None
        columns = output.shape[-1]
        has = operator.epilogue
        self._kept = [output]
        for name, wanted in (("bias", has.has_bias), ("residual", has.has_residual)):
            given = np.ascontiguousarray(operands[name], np.float32) if wanted else output
            self._kept.append(given)
        self._args = (ctypes.c_void_p * 3)(*(array.ctypes.data for array in self._kept))
        self._dims = (ctypes.c_int64 * 2)(output.size // columns, columns)
        self._blocks = (ctypes.c_int64 * 1)(threads)

    @property
    def entry(self) -> tuple[int, int, int, int, int]:
        """Addresses of the function and of its four arguments, for a caller that is compiled."""
        function = ctypes.cast(self._run, ctypes.c_void_p).value or 0
        args, dims, blocks = map(ctypes.addressof, (self._args, self._dims, self._blocks))
        return function, args, dims, blocks, 0

    def __call__(self) -> None:
        """Apply it once more."""
        self._run(self._args, self._dims, self._blocks, None)
