"""Which wider operators a convolution or GEMM may be padded to, and the copies each one needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuning.decide.stages import CopyStage, KernelStage, Stage
from tuning.operators import Conv2d, Gemm
from tuning.space import Candidate

MULTIPLES = (4, 8, 16)
"""Of input channels: the unrolled depth, a vector of AVX2, one of AVX-512 or a cache line."""

_MOST_GROWTH = 1.5
"""Padding that multiplies the work by more than this is not tried."""


@dataclass(frozen=True)
class Padding:
    """A padded operator. Weights and bias are padded ahead of time and cost nothing.

    Attributes:
        original: the operator whose result is wanted.
        padded: the same with more channels, whose weights are zero there.
    """

    original: Conv2d | Gemm
    padded: Conv2d | Gemm

    @property
    def widens_input(self) -> bool:
        """Whether the input is copied into a wider tensor first."""
        return channels(self.original)[0] != channels(self.padded)[0]

    @property
    def widens_output(self) -> bool:
        """Whether the wanted part of the output is copied out of it afterwards."""
        return channels(self.original)[1] != channels(self.padded)[1]

    def text(self) -> str:
        """Return such as `IC 46 to 48`."""
        before, after = channels(self.original), channels(self.padded)
        parts = zip(("IC", "OC"), before, after, strict=True)
        return ", ".join(f"{name} {a} to {b}" for name, a, b in parts if a != b)

    def stages(self, candidate: Candidate, start: int) -> list[Stage]:
        """Return the copy in, the kernel, the copy out; the first has index `start` in the race."""
        found: list[Stage] = []
        if self.widens_input:
            found.append(CopyStage(self.padded.operands()[0].shape))
        kernel = start + len(found)
        found.append(KernelStage(self.padded, candidate, start if found else None))
        if self.widens_output:
            found.append(CopyStage(self.original.operands()[-1].shape, kernel))
        return found


def channels(operator: Conv2d | Gemm) -> tuple[int, int]:
    """Return input and output channels: of a GEMM k and n."""
    if isinstance(operator, Gemm):
        return operator.k, operator.n
    return operator.in_channels, operator.out_channels


def _widened(operator: Conv2d | Gemm, ins: int, outs: int) -> Padding:
    if isinstance(operator, Gemm):
        return Padding(operator, replace(operator, k=ins, n=outs))
    return Padding(operator, replace(operator, in_channels=ins, out_channels=outs))


# paper: bolt padding
def paddings(operator: Conv2d | Gemm, lanes: int) -> list[Padding]:
    """Return what is worth trying, the least padded first; nothing if all is aligned.

    Output channels are padded only if the copy out is possible: float32, no residual.

    Args:
        operator: of constant weights; others have nothing padded ahead, and get an empty list.
        lanes: float32 values of a vector register.
    """
    if isinstance(operator, Gemm) and not operator.constant_b:
        return []
    ins, outs = channels(operator)
    epilogue = operator.epilogue
    wider_ins = sorted({_up(ins, multiple) for multiple in MULTIPLES} - {ins})
    whole = _up(outs, lanes)
    found = [_widened(operator, wide, outs) for wide in wider_ins]
    if whole != outs and not epilogue.has_residual and epilogue.out_dtype == "float32":
        found.append(_widened(operator, ins, whole))
        found += [_widened(operator, wide, whole) for wide in wider_ins[-1:]]
    return [p for p in found if p.padded.flops <= _MOST_GROWTH * operator.flops]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
