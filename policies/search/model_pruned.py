"""The analytical model proposes, the profiler disposes: Roller's idea on a vendor's templates."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.search.base import Budget, Measure, register
from tuning.operators import Operator
from tuning.space import Measurement, Space, best_of


@register("model_pruned")
class ModelPruned:
    """Keeps the candidates that the space's analytical model takes for the fastest.

    Args:
        k: how many are measured; ties go to the earlier one in the space's order.

    Raises:
        ValueError: k is not positive.
    """

    engine: ClassVar[str] = "templates"

    def __init__(self, k: int = 8) -> None:
        if k < 1:
            raise ValueError(f"k: {k} is not positive")
        self.k = k

    def search(
        self,
        operator: Operator,
        space: Space,
        measure: Measure,
        budget: Budget,
        luck: np.random.Generator,
    ) -> Measurement | None:
        """Measure the k best side by side."""
        candidates = list(dict.fromkeys([*space.native(operator), *space.candidates(operator)]))
        kept = sorted(candidates, key=lambda c: space.estimate_s(operator, c))
        return best_of(measure(kept[: min(self.k, budget.trials)]))
