"""Every legal candidate, as far as the budget reaches: the yardstick of other searches."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.search.base import Budget, Measure, in_batches, register
from tuning.operators import Operator
from tuning.space import Measurement, Space


@register("exhaustive")
class Exhaustive:
    """Measures the whole space in a shuffled order.

    A space in its own order has all candidates of one register tile first, so that a budget that
    ends before the space would judge that tile alone. Shuffled, what was measured until then is a
    fair sample, and no other than a random search of as many trials.

    Args:
        batch: candidates measured side by side.

    Raises:
        ValueError: batch is not positive.
    """

    engine: ClassVar[str] = "templates"

    def __init__(self, batch: int = 64) -> None:
        if batch < 1:
            raise ValueError(f"batch: {batch} is not positive")
        self.batch = batch

    def search(
        self,
        operator: Operator,
        space: Space,
        measure: Measure,
        budget: Budget,
        luck: np.random.Generator,
    ) -> Measurement | None:
        """Measure candidates until there are no more, or the budget is spent."""
        candidates = space.candidates(operator)
        order = luck.permutation(len(candidates))[: budget.trials]
        return in_batches([candidates[place] for place in order], measure, self.batch)
