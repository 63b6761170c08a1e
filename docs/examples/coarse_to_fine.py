"""Every eighth candidate of the guidelines' list, then the neighbours of the best."""

from typing import ClassVar

import numpy as np

from policies.search.base import Budget, Measure, register
from tuning.operators import Operator
from tuning.space import Measurement, Space, best_of


@register("coarse_to_fine")
class CoarseToFine:
    """Spends a half of its trials on a coarse look and the rest near what that found."""

    engine: ClassVar[str] = "templates"

    def search(
        self,
        operator: Operator,
        space: Space,
        measure: Measure,
        budget: Budget,
        luck: np.random.Generator,
    ) -> Measurement | None:
        """Measure some, then the ones that lie nearest to the best of them in the list."""
        del luck
        candidates = list(space.native(operator))
        if not candidates:
            return None
        stride = max(1, 2 * len(candidates) // budget.trials, len(candidates) // 8)
        coarse = candidates[::stride][: budget.trials]
        found = measure(coarse)
        best = best_of(found)
        if best is None:
            return None
        home = candidates.index(best.candidate)
        seen = set(coarse)
        near = sorted(range(len(candidates)), key=lambda place: abs(place - home))
        fine = [candidates[place] for place in near if candidates[place] not in seen]
        fine = fine[: budget.trials - len(coarse)]
        return best_of([*found, *measure(fine)]) if fine else best
