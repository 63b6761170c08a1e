"""Candidates drawn without replacement: what a search must beat to have learnt anything."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.search.base import Budget, Measure, in_batches, register
from tuning.operators import Operator
from tuning.space import Measurement, Space


@register("random")
class RandomSearch:
    """Draws uniformly from the whole space.

    Args:
        batch: candidates measured side by side.

    Raises:
        ValueError: batch is not positive.
    """

    engine: ClassVar[str] = "templates"

    def __init__(self, batch: int = 16) -> None:
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
        """Measure a random order's beginning."""
        candidates = space.candidates(operator)
        drawn = luck.permutation(len(candidates))[: budget.trials]
        return in_batches([candidates[place] for place in drawn], measure, self.batch)
