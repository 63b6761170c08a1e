"""The choices that the tuner makes by profiling, made by the model: fusion, pairs, padding."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.gpu.kernel import stream_s
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.operators.epilogue import NO_EPILOGUE
from tuning.simulated.setting import Chosen, NoKernelError, Setting, best, natives, timed
from tuning.templates.cutlass.architecture import ELEMENT_BITS, WIDEST_ACCESS_BYTES
from tuning.templates.cutlass.problem import problem_of, widest


def unfused_s(operator: Gemm | Conv2d, where: Setting) -> float:
    """Return the product's seconds and, after it, those of one element-wise kernel for the rest."""
    plain = best(replace(operator, epilogue=NO_EPILOGUE), where).seconds
    if not operator.epilogue.steps:
        return plain
    problem = problem_of(operator)
    size = ELEMENT_BITS[where.precision.output] // 8
    outputs = problem.batch * problem.m * problem.n
    tensors = 3 if operator.epilogue.has_residual else 2
    return plain + stream_s(size * tensors * outputs, where.gpu, where.constants)


@dataclass(frozen=True)
class PairChoice:
    """Two products, in one kernel or in two.

    Attributes:
        apart_s: both kernels, epilogues fused.
        register_s: fastest register-resident kernel, None if there is none.
        shared_s: fastest shared-resident one.
        padded: whether channels or columns were padded so that a kernel exists.
    """

    apart_s: float
    register_s: float | None
    shared_s: float | None
    padded: bool

    @property
    def fused_s(self) -> float | None:
        """The faster of both kinds, None if there is no back-to-back kernel."""
        return min((s for s in (self.register_s, self.shared_s) if s is not None), default=None)

    @property
    def fused(self) -> bool:
        """Whether one kernel is faster."""
        return self.fused_s is not None and self.fused_s < self.apart_s


def choose_pair(first: Gemm | Conv2d, second: Gemm | Conv2d, where: Setting) -> PairChoice:
    """Return both ways; unaligned extents are padded for both, so that only fusion differs."""
    one, two = padded_pair(first, second, where)
    pair = Pair(one, two)
    found = timed(pair, natives(pair, where), where)

    def of(residence: str) -> float | None:
        return next((c.seconds for c in found if c.kernel.residence == residence), None)

    apart = best(one, where).seconds + best(two, where).seconds
    changed = (one, two) != (first, second)
    return PairChoice(apart, of("register"), of("shared"), changed)


def padded_pair(
    first: Gemm | Conv2d, second: Gemm | Conv2d, where: Setting
) -> tuple[Gemm | Conv2d, Gemm | Conv2d]:
    """Return both with columns and depths padded to 16-byte accesses."""
    one = _padded(first, where, outputs=True)
    two = _padded(second, where, outputs=True)
    return one, two


def _step(where: Setting) -> int:
    return WIDEST_ACCESS_BYTES * 8 // ELEMENT_BITS[where.precision.element]


def _up(extent: int, step: int) -> int:
    return -(-extent // step) * step


def _padded(part: Gemm | Conv2d, where: Setting, outputs: bool) -> Gemm | Conv2d:
    step = _step(where)
    if isinstance(part, Gemm):
        return replace(part, k=_up(part.k, step), n=_up(part.n, step) if outputs else part.n)
    out = _up(part.out_channels, step) if outputs else part.out_channels
    return replace(part, in_channels=_up(part.in_channels, step), out_channels=out)


@dataclass(frozen=True)
class PaddingChoice:
    """A convolution or GEMM with its depth as it is, or padded to 16-byte accesses.

    Attributes:
        plain_s: the fastest kernel on the tensor as it is; None if there is none.
        padded_s: the fastest kernel on the padded tensor.
        pad_s: seconds of the kernel that pads.
        access: elements of an access without padding.
    """

    plain_s: float | None
    padded_s: float
    pad_s: float
    access: int

    @property
    def padded(self) -> bool:
        """Whether padding pays, its kernel counted."""
        return self.plain_s is None or self.padded_s + self.pad_s < self.plain_s

    @property
    def seconds(self) -> float:
        """The faster way."""
        with_pad = self.padded_s + self.pad_s
        return with_pad if self.plain_s is None else min(self.plain_s, with_pad)


def choose_padding(operator: Gemm | Conv2d, where: Setting) -> PaddingChoice:
    """Return both ways; outputs stay as they are.

    Raises:
        NoKernelError: there is no kernel even with padding.
    """
    element = where.precision.element
    access = widest(element, problem_of(operator).run_a)
    try:
        plain: float | None = best(operator, where).seconds
    except NoKernelError:
        plain = None
    if access == _step(where):
        return PaddingChoice(plain, best(operator, where).seconds, 0.0, access)
    wide = _padded(operator, where, outputs=False)
    size = ELEMENT_BITS[element] // 8
    moved = size * (operator.operands()[0].size + wide.operands()[0].size)
    pad = stream_s(moved, where.gpu, where.constants)
    return PaddingChoice(plain, best(wide, where).seconds, pad, access)


def with_activation(part: Gemm | Conv2d, step: str) -> Gemm | Conv2d:
    """Return the product with a bias and another activation."""
    return replace(part, epilogue=Epilogue(("bias", step)))


def chosen_text(chosen: Chosen) -> str:
    """Return the kernel's name and its microseconds."""
    return f"{chosen.kernel.name()}: {1e6 * chosen.seconds:.1f} us"
