"""Times of single kernels that others have published, to hold the simulator against.

All are of GitHub issues and pull requests of NVIDIA/cutlass (number given); the poster's clocks,
drivers and versions are unknown. A vendor's library is taken for as good as the best template.
Where somebody measured one configuration of many, that is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuning.operators import Conv2d, Epilogue, Gemm
from tuning.simulated.choices import choose_pair
from tuning.simulated.setting import Setting, best, setting
from tuning.templates.cutlass.problem import HALF, Precision

EIGHT = Precision("int8", "int32", "int8")


@dataclass(frozen=True)
class Published:
    """One time.

    Attributes:
        gpu: where.
        first: what was computed.
        second: on its output, or None.
        fused: whether both ran in one kernel.
        precision: types.
        milliseconds: of a call.
        source: issue or pull request.
    """

    gpu: str
    first: Gemm | Conv2d
    second: Gemm | Conv2d | None
    fused: bool
    precision: Precision
    milliseconds: float
    source: str

    def simulated_ms(self, seed: int = 0) -> float:
        """Return the model's milliseconds for the same."""
        where: Setting = setting(self.gpu, self.precision, seed)
        if self.second is None:
            return 1e3 * best(self.first, where).seconds
        found = choose_pair(self.first, self.second, where)
        seconds = found.fused_s if self.fused else found.apart_s
        if seconds is None:
            raise ValueError(f"{self.first.text()}: no back-to-back kernel")
        return 1e3 * seconds


def _gemm(m: int, n: int, k: int, milliseconds: float, source: str) -> Published:
    return Published("t4", Gemm(m, n, k), None, False, HALF, milliseconds, source)


_RELU = Epilogue(("relu",))
_FIRST = Gemm(204_800, 64, 576, epilogue=_RELU)
_SECOND = Gemm(204_800, 128, 64, epilogue=_RELU)
PUBLISHED: dict[str, Published] = {
    "t4-32": _gemm(32, 1024, 2048, 0.056, "#106"),
    "t4-64": _gemm(64, 1024, 2048, 0.065, "#106"),
    "t4-128": _gemm(128, 1024, 2048, 0.070, "#106"),
    "t4-256": _gemm(256, 1024, 2048, 0.094, "#106"),
    "t4-512": _gemm(512, 1024, 2048, 0.150, "#106"),
    "t4-1024": _gemm(1024, 1024, 2048, 0.274, "#106"),
    "t4-cube-128": _gemm(128, 128, 128, 0.0125, "#106"),
    "t4-cube-256": _gemm(256, 256, 256, 0.0173, "#106"),
    "t4-cube-512": _gemm(512, 512, 512, 0.043, "#106"),
    "t4-cube-1024": _gemm(1024, 1024, 1024, 0.153, "#106"),
    "t4-cube-4096": _gemm(4096, 4096, 4096, 4.169, "#457, at a locked 1590 MHz"),
    "t4-pair-apart": Published("t4", _FIRST, _SECOND, False, HALF, 1.39011, "#99"),
    "t4-pair-fused": Published("t4", _FIRST, _SECOND, True, HALF, 1.26035, "#99"),
    "t4-pair-int8-apart": Published("t4", _FIRST, _SECOND, False, EIGHT, 0.7518, "#99"),
    "t4-pair-int8-fused": Published("t4", _FIRST, _SECOND, True, EIGHT, 0.6297, "#99"),
    "a100-gemm": Published("a100-80", Gemm(3072, 2048, 768), None, False, HALF, 0.0624, "#430"),
}
"""Name -> time; of single GEMMs cuBLAS's, but for #457."""
