"""What the passes ask when there is no GPU to ask: the kernel simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tuning.graph.copies import copies_of
from tuning.graph.options import Choice, GraphOptions, Tuner
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError
from tuning.space import Measurement
from tuning.templates.cutlass.architecture import ELEMENT_BITS
from tuning.templates.cutlass.library import CutlassTemplates

ALIGNED = 8
"""Channels that an access of 16 bytes takes in half precision."""
_SIMULATED = "simulated"


@dataclass(frozen=True)
class Simulated:
    """An answer whose time is the simulator's; its message says so."""

    operator: Operator
    best: Measurement


def simulated_tuner(library: CutlassTemplates) -> Tuner:
    """Return a tuner that names the kernel which the simulator finds fastest."""

    def ask(operator: Operator) -> Simulated:
        native = library.native(operator)
        if not native:
            raise NothingMeasuredError(f"{operator.text()}: CUTLASS has no kernel")
        best = min(native, key=lambda candidate: library.estimate_s(operator, candidate))
        time_ns = library.estimate_s(operator, best) * 1e9
        return Simulated(operator, Measurement(best, "ok", time_ns, message=_SIMULATED))

    return ask


def simulated_options(library: CutlassTemplates) -> GraphOptions:
    """Return options whose deciders compare simulated times."""

    def pair(asked: Pair, tuner: Tuner) -> Choice:
        apart = sum(tuner(half).best.median_ns for half in (asked.first, asked.second))
        try:
            joined = tuner(asked).best.median_ns
        except NothingMeasuredError:
            return Choice(None, apart, 0.0, False, "no kernel holds both products")
        return _choice(asked, apart, joined)

    def pad(asked: Gemm | Conv2d, tuner: Tuner) -> Choice:
        wider = widened(asked)
        if wider is None:
            return Choice(None, 0.0, 0.0, False, "nothing to pad")
        try:
            plain = tuner(asked).best.median_ns
        except NothingMeasuredError:  # no kernel reads such narrow rows
            plain = math.inf
        return _choice(wider, plain, tuner(wider).best.median_ns + copies_ns(asked, wider))

    def copies_ns(asked: Operator, wider: Operator) -> float:
        size = ELEMENT_BITS[library.precision.element] // 8
        moved = sum(size * _elements(one.given, one.made) for one in copies_of(asked, wider))
        return moved / library.device.bandwidth_bytes_s * 1e9

    return GraphOptions(True, pair, pad)


def widened(operator: Gemm | Conv2d) -> Gemm | Conv2d | None:
    """Return the operator with channels that are multiples of 8, or None if they are already.

    Output channels stay where there is a residual, which would have to be copied too.
    """

    def up(extent: int) -> int:
        return -(-extent // ALIGNED) * ALIGNED

    keep = operator.epilogue.has_residual
    if isinstance(operator, Gemm):
        if not operator.constant_b:
            return None
        n = operator.n if keep else up(operator.n)
        found: Gemm | Conv2d = replace(operator, k=up(operator.k), n=n)
    else:
        outs = operator.out_channels if keep else up(operator.out_channels)
        found = replace(operator, in_channels=up(operator.in_channels), out_channels=outs)
    return None if found == operator else found


def _elements(*shapes: tuple[int, ...]) -> int:
    total = 0
    for shape in shapes:
        count = 1
        for extent in shape:
            count *= extent
        total += count
    return total


def _choice(instead: Operator, without_ns: float, with_ns: float) -> Choice:
    faster = with_ns < without_ns
    told = f"{_SIMULATED} {with_ns:.0f} ns instead of {without_ns:.0f} ns"
    return Choice(instead, without_ns, with_ns, faster, told)
