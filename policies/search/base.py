"""The contract between a search over templates and the profiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from policies.registry import Registry
from tuning.operators import Operator
from tuning.space import OUT_OF_BUDGET, Candidate, Measurement, Space, best_of

SEARCHES: Registry[Any] = Registry("policies.search", "template search")
register = SEARCHES.register

Measure = Callable[[Sequence[Candidate]], list[Measurement]]
"""Times candidates side by side and returns one measurement each, in the same order. Candidates
that are measured in one call are compared fairly (interleaved); it stops early, answering
`rejected` with the message "out of budget", when the budget is spent."""


@dataclass(frozen=True)
class Budget:
    """What a search may spend on one operator.

    Attributes:
        trials: candidates measured at most.
        seconds: wall-clock seconds of compiling and measuring at most.
    """

    trials: int
    seconds: float

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials: {self.trials} is not positive")
        if not self.seconds > 0:
            raise ValueError(f"seconds: {self.seconds} is not positive")


class TemplateSearch(Protocol):
    """Chooses which candidates of a space are worth measuring.

    `name` is set by `@register`. A search that brings a space of its own, such as MetaSchedule's,
    says so by `engine`; it is then run by that engine and `search` is never invoked.
    """

    name: ClassVar[str]
    engine: ClassVar[str]
    """`templates`, or the engine that it brings (`metaschedule`)."""

    def search(
        self,
        operator: Operator,
        space: Space,
        measure: Measure,
        budget: Budget,
        luck: np.random.Generator,
    ) -> Measurement | None:
        """Measure candidates of `space` and return the best measurement, None if none ran.

        Invoked once per operator. Measurements already on record are answered by `measure`
        at once and count as trials.
        """
        ...


def in_batches(candidates: Sequence[Candidate], measure: Measure, size: int) -> Measurement | None:
    """Measure `candidates`, `size` side by side, until the budget is spent; return the best."""
    found: list[Measurement] = []
    for start in range(0, len(candidates), size):
        batch = measure(candidates[start : start + size])
        found += batch
        if any(m.status == "rejected" and m.message == OUT_OF_BUDGET for m in batch):
            break
    return best_of(found)
