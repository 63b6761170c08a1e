"""Stand-ins for the tuner and the race: decisions without a compiler or a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuning.decide.race import Race, Raced
from tuning.decide.stages import Stage
from tuning.operators import Operator
from tuning.profile import NothingMeasuredError, ProfileSettings
from tuning.space import Candidate, Measurement
from tuning.templates.cpu.library import CpuTemplates
from tuning.tuner import Tuned

CANDIDATE = Candidate.of("any", {}, {})


class FakeTuner:
    """Knows a time for every operator but those in `missing`; remembers what it was asked."""

    def __init__(self, missing: Sequence[Operator] = ()) -> None:
        self.missing = set(missing)
        self.asked: list[Operator] = []

    def __call__(self, operator: Operator) -> Tuned:
        self.asked.append(operator)
        if operator in self.missing:
            raise NothingMeasuredError(f"{operator.text()}: nothing measured")
        best = Measurement(CANDIDATE, "ok", float(operator.flops), 1.0, 1.0, 3)
        return Tuned(operator, best, 1, 0.0, 0, [(0.0, 1.0)])


class FakeRace(Race):
    """Answers with given times, or raises."""

    def __init__(
        self,
        times: Mapping[str, Sequence[float]] | Exception,
        disturbed: float = 0.0,
    ) -> None:
        super().__init__(CpuTemplates("generic", 1), ProfileSettings(1))
        self.times, self.disturbed = times, disturbed
        self.runs: list[tuple[Operator, list[Stage], dict[str, list[int]], list[str]]] = []

    def run(
        self,
        base: Operator,
        stages: Sequence[Stage],
        entrants: Mapping[str, Sequence[int]],
        equal: Sequence[str],
    ) -> Raced:
        plain = {name: list(indices) for name, indices in entrants.items()}
        self.runs.append((base, list(stages), plain, list(equal)))
        if isinstance(self.times, Exception):
            raise self.times
        default = [1.0] * len(next(iter(self.times.values())))
        return Raced(
            {name: [list(self.times.get(name, default))] for name in entrants}, self.disturbed
        )
