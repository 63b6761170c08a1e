"""How well the simulator prunes: what is lost if only the k that it puts first are measured.

    regret(k) = best measured time among the k that are predicted fastest / best of all

It says nothing of absolute times: a model that is wrong by the same factor everywhere has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sim.gpu.kernel_constants import STANDARD, Constants
from sim.gpu.kernel_hardware import KernelGpu
from tuning.operators import Operator
from tuning.templates.cutlass.estimate import estimate
from tuning.templates.cutlass.measured import Measured


@dataclass(frozen=True)
class Group:
    """All that was measured of one operator.

    Attributes:
        operator: which.
        predicted: seconds by the simulator.
        measured: seconds, in the same order.
    """

    operator: Operator
    predicted: tuple[float, ...]
    measured: tuple[float, ...]

    def regret(self, k: int) -> float:
        """Return the best of the first `k` by prediction over the best of all, >= 1."""
        return regret(self.predicted, self.measured, k)

    @property
    def mean_error(self) -> float:
        """Mean of |predicted / measured - 1|."""
        ratios = [p / m for p, m in zip(self.predicted, self.measured, strict=True)]
        return sum(abs(ratio - 1.0) for ratio in ratios) / len(ratios)

    @property
    def spread(self) -> float:
        """What a candidate drawn at random costs over the best, geometric mean."""
        best = min(self.measured)
        return math.exp(sum(math.log(m / best) for m in self.measured) / len(self.measured))


def regret(predicted: Sequence[float], measured: Sequence[float], k: int) -> float:
    """Return the best measured of the `k` least predicted over the best of all.

    Of equal predictions the earlier comes first.

    Raises:
        ValueError: nothing was measured, the lengths differ, or k < 1.
    """
    if not measured or len(predicted) != len(measured):
        raise ValueError(f"predicted: {len(predicted)} for {len(measured)} measured")
    if k < 1:
        raise ValueError(f"k: {k} is not positive")
    order = sorted(range(len(predicted)), key=lambda place: predicted[place])
    return min(measured[place] for place in order[:k]) / min(measured)


def groups(
    rows: Sequence[Measured], gpu: KernelGpu, aligned: bool, constants: Constants = STANDARD
) -> list[Group]:
    """Return what was measured, by operator, with predictions.

    Args:
        rows: measurements.
        gpu: where they were taken.
        aligned: whether to keep only kernels with the widest access that an operator has.
        constants: of the model.
    """
    most: dict[Operator, int] = {}
    for row in rows:
        most[row.operator] = max(row.kernel.align_a, most.get(row.operator, 0))
    kept = [row for row in rows if not aligned or row.kernel.align_a == most[row.operator]]
    kept.sort(key=lambda row: row.operator.text())
    found = []
    for _, members in groupby(kept, key=lambda row: row.operator.text()):
        own = list(members)
        predicted = tuple(
            estimate(row.operator, row.kernel, gpu, constants=constants).seconds for row in own
        )
        measured = tuple(row.milliseconds / 1e3 for row in own)
        found.append(Group(own[0].operator, predicted, measured))
    return found


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values."""
    return math.exp(sum(math.log(value) for value in values) / len(values))
