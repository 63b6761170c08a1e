"""A template library of one's own: three nested loops, with the order of the inner two to choose.

A unit exports four functions; `tuning/templates/cpu/render.py` says what they are given.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuning.operators import Epilogue, Gemm, Operator
from tuning.space import Candidate, Device
from tuning.templates.base import Source
from tuning.templates.cpu.device import device

LOOPS = {
    "dot": """for (int64_t j = 0; j < n; ++j) {
            float sum = 0;
            for (int64_t l = 0; l < k; ++l) sum += a[i * k + l] * b[l * n + j];
            out[i * n + j] = sum;
        }""",
    "axpy": """for (int64_t j = 0; j < n; ++j) out[i * n + j] = 0;
        for (int64_t l = 0; l < k; ++l)
            for (int64_t j = 0; j < n; ++j) out[i * n + j] += a[i * k + l] * b[l * n + j];""",
}
UNIT = """
#include <cstdint>
#include <cstring>
extern "C" {
int64_t triptych_packed_floats(int, const int64_t* dims) { return dims[2] * dims[3]; }
void triptych_pack(int, const float* from, float* to, const int64_t* dims) {
    memcpy(to, from, sizeof(float) * dims[2] * dims[3]);
}
int64_t triptych_scratch_bytes(const int64_t*, const int64_t*) { return 64; }
void triptych_run(void* const* args, const int64_t* dims, const int64_t*, void*) {
    const float *a = (const float*)args[0], *b = (const float*)args[1];
    float* out = (float*)args[2];
    const int64_t m = dims[1], n = dims[2], k = dims[3];
    for (int64_t i = 0; i < m; ++i) {
        LOOPS
    }
}
}
"""
RUNTIME = {"block_rows": 1, "block_columns": 1, "block_depth": 1, "threads": 1}


class NaiveTemplates:
    """Plain matrix products in float32, on one thread, without an epilogue."""

    name = "naive"
    version = "1"
    compiler = "g++"

    def __init__(self) -> None:
        self.device: Device = device("generic", 1)

    def candidates(self, operator: Operator) -> Sequence[Candidate]:
        """Return both orders of the loops."""
        found = [
            Candidate.of("gemm", {"loops": loops, "level": level}, RUNTIME)
            for loops in LOOPS
            for level in ("-O2", "-O3")
        ]
        return [one for one in found if self.rejected(operator, one) is None]

    def native(self, operator: Operator) -> Sequence[Candidate]:
        """Return the same: there are few."""
        return self.candidates(operator)

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        """Return the time at the device's peak; a dot product strides through memory."""
        slow = 8.0 if candidate.params["loops"] == "dot" else 1.0
        return slow * operator.flops / self.device.flops

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        """Return why the loops cannot compute the operator, or None."""
        if not isinstance(operator, Gemm) or operator.batch != 1 or not operator.constant_b:
            return "computes one matrix product with constant weights"
        if operator.epilogue != Epilogue():
            return "has no epilogue"
        known = candidate.params.get("loops") in LOOPS
        return None if candidate.template == "gemm" and known else "is none of these templates"

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        """Return the unit with its loops in place."""
        text = UNIT.replace("LOOPS", LOOPS[str(candidate.params["loops"])])
        level = str(candidate.params["level"])
        return Source(text, self.compiler, (level, "-shared", "-fPIC"))
