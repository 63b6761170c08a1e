"""TVM's search over its own schedules: the rival. `tuning.metaschedule` runs it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.search.base import Budget, Measure, register
from tuning.operators import Operator
from tuning.space import Measurement, Space


@register("metaschedule")
class MetaSchedule:
    """Brings a space and an engine of its own, so that no template is ever measured for it."""

    engine: ClassVar[str] = "metaschedule"

    def search(
        self,
        operator: Operator,
        space: Space,
        measure: Measure,
        budget: Budget,
        luck: np.random.Generator,
    ) -> Measurement | None:
        """Refuse: TVM's engine searches, over schedules that are no templates.

        Raises:
            ValueError: always.
        """
        raise ValueError("search metaschedule: is run by TVM's engine, not over templates")
