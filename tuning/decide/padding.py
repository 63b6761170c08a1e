"""Whether an operator is run on padded channels (Bolt section 3.2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from tuning.decide.pair import Tune
from tuning.decide.race import Race, Raced, RaceError
from tuning.decide.ratio import Ratio
from tuning.decide.stages import KernelStage, Stage
from tuning.decide.widths import Padding, paddings
from tuning.operators import Conv2d, Gemm
from tuning.profile import NothingMeasuredError
from tuning.tuner import Tuned

MOST_RACED = 2


@dataclass(frozen=True)
class PaddingDecision:
    """Padded or not, and why.

    Times are medians in nanoseconds, taken side by side; 0 where nothing was raced.

    Attributes:
        plain: the operator as it is, tuned.
        padded: the best padded operator, tuned; None if none was compared.
        padding: what it pads, None with `padded`.
        pad: whether it is faster beyond noise, copies included.
        ratio: plain over padded with its copies, None if they were not raced.
        plain_ns: the operator as it is.
        padded_ns: copies and padded kernel, back to back.
        copy_ns: the copies alone.
        kernel_ns: the padded kernel alone.
        reason: one sentence.
        busy: whether the machine was too busy to tell; another time may tell.
    """

    plain: Tuned
    padded: Tuned | None
    padding: Padding | None
    pad: bool
    ratio: Ratio | None
    plain_ns: float
    padded_ns: float
    copy_ns: float
    kernel_ns: float
    reason: str
    busy: bool = False

    @property
    def cost(self) -> float:
        """The copies' share of the padded way, as Bolt's Table 3 has it; 0 if not raced."""
        return self.copy_ns / (self.copy_ns + self.kernel_ns) if self.ratio else 0.0

    @property
    def gain(self) -> float:
        """Plain over padded; 1 if they were not raced."""
        return self.ratio.median if self.ratio else 1.0


# paper: bolt padding
def decide_padding(operator: Conv2d | Gemm, tune: Tune, race: Race) -> PaddingDecision:
    """Return whether `operator` is faster on channels that are filled up with zeros.

    The padded tensor is allocated and the weights are padded in advance; the copy of the input
    into it, zeros included, is made at every call and counted, with the threads of the kernel.

    Args:
        operator: its channels (k and n of a GEMM) decide what is tried.
        tune: finds kernels.
        race: runs both ways side by side.

    Raises:
        NothingMeasuredError: `operator` has no kernel at all.
    """
    plain = tune(operator)

    def unpadded(reason: str) -> PaddingDecision:
        return PaddingDecision(plain, None, None, False, None, 0.0, 0.0, 0.0, 0.0, reason)

    tried: list[tuple[Padding, Tuned]] = []
    for padding in paddings(operator, race.library.device.vector_floats):
        try:
            tried.append((padding, tune(padding.padded)))
        except NothingMeasuredError:
            continue
    if not tried:
        return unpadded("not padded: nothing to pad, or no kernel for it")
    tried.sort(key=lambda pair: pair[1].best.median_ns)
    try:
        return _raced(operator, plain, tried[:MOST_RACED], race)
    except RaceError as error:
        return unpadded(f"not padded: not compared: {error}")


def _raced(
    operator: Conv2d | Gemm, plain: Tuned, tried: list[tuple[Padding, Tuned]], race: Race
) -> PaddingDecision:
    stages: list[Stage] = [KernelStage(operator, plain.best.candidate)]
    entrants: dict[str, tuple[int, ...]] = {"plain": (0,)}
    for index, (padding, tuned) in enumerate(tried):
        added = padding.stages(tuned.best.candidate, len(stages))
        where = dict(enumerate(added, len(stages)))
        entrants[f"padded {index}"] = tuple(where)
        entrants[f"kernel {index}"] = tuple(
            i for i, stage in where.items() if isinstance(stage, KernelStage)
        )
        entrants[f"copy {index}"] = tuple(
            i for i, stage in where.items() if not isinstance(stage, KernelStage)
        )
        stages += added
    equal = ["plain", *(f"padded {index}" for index in range(len(tried)))]
    raced = race.run(operator, stages, entrants, equal)
    found = [_decision(plain, *pair, index, raced) for index, pair in enumerate(tried)]
    return min(found, key=lambda decision: decision.padded_ns)


def _decision(
    plain: Tuned, padding: Padding, padded: Tuned, index: int, raced: Raced
) -> PaddingDecision:
    ratio = raced.ratio("plain", f"padded {index}")
    pad, reason = ratio.verdict("padded", raced.busy)
    return PaddingDecision(
        plain,
        padded,
        padding,
        pad,
        ratio,
        raced.median_ns("plain"),
        raced.median_ns(f"padded {index}"),
        raced.median_ns(f"copy {index}"),
        raced.median_ns(f"kernel {index}"),
        f"{reason}, {padding.text()}, copies included",
        raced.busy,
    )
