"""A template library of tiny sources: one that works, and one for each way of going wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuning.operators import Gemm, Operator
from tuning.space import OUT_OF_BUDGET, Candidate, Device, Measurement
from tuning.templates.base import Source

DEVICE = Device("fake", 4, 16, 2, 32 << 10, 512 << 10, 8 << 20, 1e12, 1e9)

UNIT = """
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>
extern "C" {
int64_t triptych_packed_floats(int, const int64_t* d) { return d[2] * d[3]; }
void triptych_pack(int, const float* from, float* to, const int64_t* d) {
    memcpy(to, from, d[2] * d[3] * 4);
}
int64_t triptych_scratch_bytes(const int64_t*, const int64_t*) { return 64; }
void triptych_run(void* const* args, const int64_t* d, const int64_t* blocks, void*) {
    const float *a = (const float*)args[0], *b = (const float*)args[1];
    float* out = (float*)args[2];
    static int64_t calls = 0;
    ++calls;
    FIRST;
    for (int64_t i = 0; i < d[1]; ++i)
        for (int64_t j = 0; j < d[2]; ++j) {
            float sum = 0;
            for (int64_t k = 0; k < d[3]; ++k) sum += a[i * d[3] + k] * b[k * d[2] + j];
            out[i * d[2] + j] = sum;
        }
    LAST;
}
}
"""

FIRST = {
    "good": "(void)0",
    "slow": "usleep(3000)",
    "segfault": "*(volatile int*)8 = 1",
    "late_segfault": "if (calls > 2) *(volatile int*)8 = 1",
    "abort": 'fprintf(stderr, "assertion of mine\\n"); abort()',
    "exit": "_exit(3)",
    "hang": "for (;;) usleep(1000)",
    "noisy": 'printf("{\\"done\\": true}\\n"); fflush(stdout); write(1, "\\n\\n{}\\n", 5)',
    "garble": """struct stat s;
    for (int fd = 3; fd < 16; ++fd)
        if (!fstat(fd, &s) && S_ISFIFO(s.st_mode)) write(fd, "]]\\n", 3)""",
    "lazy": "return",
    "syntax": "this is not C++",
}
LAST = {
    "stray": "out[d[1] * d[2] + 5] = 0",
    "stray_before": "out[-1] = 0",
    "wrong": "out[0] += 1",
    "nan": "out[1] = 0.0f / 0.0f",
}
KINDS = (*FIRST, *LAST)


@dataclass
class FakeLibrary:
    """Candidates are kinds of behaviour; `illegal` is rejected."""

    name: str = "fake"
    version: str = "1"
    compiler: str = "g++"
    device: Device = DEVICE
    kinds: Sequence[str] = KINDS

    def candidate(self, kind: str, number: int = 0) -> Candidate:
        runtime = {"block_rows": number, "block_columns": 1, "block_depth": 1, "threads": 1}
        return Candidate.of("gemm", {"kind": kind}, runtime)

    def candidates(self, operator: Operator) -> list[Candidate]:
        return [self.candidate(kind) for kind in self.kinds]

    def native(self, operator: Operator) -> list[Candidate]:
        return self.candidates(operator)

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        return 1.0

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        return "is not allowed" if candidate.params["kind"] == "illegal" else None

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        kind = str(candidate.params["kind"])
        if kind == "mute":
            return Source("extern int nothing;", self.compiler, ("-shared", "-fPIC"))
        text = UNIT.replace("FIRST", FIRST.get(kind, "(void)0"))
        text = text.replace("LAST", LAST.get(kind, "(void)0"))
        return Source(text, self.compiler, ("-O1", "-shared", "-fPIC", "-w"))


OPERATOR = Gemm(8, 8, 8)


def made_up(operator: Operator, count: int) -> list[Candidate]:
    """Return candidates that no library renders, numbered."""
    return [Candidate.of("gemm", {"number": n}, {"threads": 1}) for n in range(count)]


@dataclass
class FakeSpace:
    """A space of numbers; the estimate of number n is n, or what `estimates` says."""

    count: int = 40
    estimates: dict[int, float] = field(default_factory=dict)
    device: Device = DEVICE
    name: str = "space"
    version: str = "1"
    compiler: str = "g++"

    def candidates(self, operator: Operator) -> list[Candidate]:
        return made_up(operator, self.count)

    def native(self, operator: Operator) -> list[Candidate]:
        return self.candidates(operator)[:: max(1, self.count // 10)]

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        number = int(candidate.params["number"])
        return self.estimates.get(number, float(number))

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        return None

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        raise AssertionError("nothing is rendered here")


@dataclass
class FakeProfiler:
    """Answers from a table of times; what has none crashes. Notes what it was asked."""

    settings: object
    times_ns: dict[int, float] = field(default_factory=dict)
    asked: list[list[Candidate]] = field(default_factory=list)
    waited_s: float = 0.0

    def measure(
        self,
        operator: Operator,
        candidates: Sequence[Candidate],
        seconds: float = math.inf,
        samples: int | None = None,
    ) -> list[Measurement]:
        self.asked.append(list(candidates))
        return [self._one(candidate, seconds) for candidate in candidates]

    def _one(self, candidate: Candidate, seconds: float) -> Measurement:
        if seconds <= 0:
            return Measurement(candidate, "rejected", message=OUT_OF_BUDGET)
        time_ns = self.times_ns.get(int(candidate.params["number"]), 0.0)
        if not time_ns:
            return Measurement(candidate, "crashed", message="SIGSEGV", compile_s=0.1)
        return Measurement(candidate, "ok", time_ns, time_ns, time_ns, samples=3, measure_s=0.01)
