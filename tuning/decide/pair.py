"""Whether two operators are run by one back-to-back kernel (Bolt section 3.1.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuning.decide.race import Race, RaceError
from tuning.decide.ratio import Ratio
from tuning.decide.stages import KernelStage
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError
from tuning.tuner import Tuned

Tune = Callable[[Operator], Tuned]
"""Returns the best kernel of an operator; raises NothingMeasuredError if there is none."""


@dataclass(frozen=True)
class PairDecision:
    """Fused or not, and why.

    Times are medians in nanoseconds, taken side by side; 0 where nothing was raced.

    Attributes:
        first: the first operator, tuned alone.
        second: the second.
        fused: the back-to-back kernel, None if there is none.
        fuse: whether it is faster beyond noise.
        ratio: unfused over fused, None if they were not raced.
        unfused_ns: both kernels back to back, the intermediate result in memory.
        fused_ns: the one kernel.
        first_ns: the first kernel alone.
        second_ns: the second alone.
        reason: one sentence.
        busy: whether the machine was too busy to tell; another time may tell.
    """

    first: Tuned
    second: Tuned
    fused: Tuned | None
    fuse: bool
    ratio: Ratio | None
    unfused_ns: float
    fused_ns: float
    first_ns: float
    second_ns: float
    reason: str
    busy: bool = False

    @property
    def gain(self) -> float:
        """Unfused over fused; 1 if they were not raced."""
        return self.ratio.median if self.ratio else 1.0


# paper: bolt b2b fusion
def decide_pair(
    first: Gemm | Conv2d, second: Gemm | Conv2d, tune: Tune, race: Race
) -> PairDecision:
    """Return whether `first` and `second` are better run by one kernel.

    The fused kernel competes with the two run one after the other, which leave the intermediate
    result in memory: not with the sum of their times alone, which know nothing of that traffic.

    Args:
        first: its output must be read by `second` alone; that is for the caller to know.
        second: takes the first's output.
        tune: finds kernels for the three operators.
        race: runs both ways side by side.

    Raises:
        NothingMeasuredError: `first` or `second` has no kernel at all.
    """
    alone = tune(first), tune(second)

    def unfused(reason: str, fused: Tuned | None = None) -> PairDecision:
        return PairDecision(*alone, fused, False, None, 0.0, 0.0, 0.0, 0.0, reason)

    try:
        pair = Pair(first, second)
    except ValueError as error:
        return unfused(f"not fused: cannot be: {error}")
    try:
        fused = tune(pair)
    except NothingMeasuredError as error:
        return unfused(f"not fused: no back-to-back kernel: {error}")
    try:
        return _raced(pair, *alone, fused, race)
    except RaceError as error:
        return unfused(f"not fused: not compared: {error}", fused)


def _raced(pair: Pair, first: Tuned, second: Tuned, fused: Tuned, race: Race) -> PairDecision:
    stages = (
        KernelStage(pair.first, first.best.candidate),
        KernelStage(pair.second, second.best.candidate, after=0, tail="1"),
        KernelStage(pair, fused.best.candidate),
    )
    entrants = {"unfused": (0, 1), "fused": (2,), "first": (0,), "second": (1,)}
    raced = race.run(pair, stages, entrants, equal=("unfused", "fused"))
    ratio = raced.ratio("unfused", "fused")
    fuse, reason = ratio.verdict("fused", raced.busy)
    return PairDecision(
        first,
        second,
        fused,
        fuse,
        ratio,
        raced.median_ns("unfused"),
        raced.median_ns("fused"),
        raced.median_ns("first"),
        raced.median_ns("second"),
        reason,
        raced.busy,
    )
