"""Bolt's search: the tens of candidates that the vendor's guidelines leave, all measured."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.search.base import Budget, Measure, register
from tuning.operators import Operator
from tuning.space import Measurement, Space, best_of


# paper: bolt 3.2.2
@register("hardware_native")
class HardwareNative:
    """Bolt section 3.2.2: no cost model, no per-shape space; best guesses first."""

    engine: ClassVar[str] = "templates"

    def search(
        self,
        operator: Operator,
        space: Space,
        measure: Measure,
        budget: Budget,
        luck: np.random.Generator,
    ) -> Measurement | None:
        """Measure the native candidates side by side."""
        return best_of(measure(space.native(operator)[: budget.trials]))
