"""Models tuned and built on this machine: profiler, records and decisions in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from policies.search.base import Budget
from tuning.compile import ObjectCache
from tuning.decide import Race
from tuning.graph.build import optimise
from tuning.graph.deciders import pad_decider, pair_decider
from tuning.graph.ledger import Ledger
from tuning.graph.model import BuiltModel
from tuning.graph.options import GraphOptions
from tuning.graph.variants import Kept, fastest
from tuning.operators import Operator
from tuning.profile import NothingMeasuredError, Profiler, ProfileSettings
from tuning.records import Records
from tuning.templates.base import TemplateLibrary
from tuning.tuner import Tuned, tune

if TYPE_CHECKING:
    import tvm

RECORDS, DECISIONS = "records.jsonl", "decisions.jsonl"


@dataclass(frozen=True)
class Passes:
    """Which passes run; each can be turned off to see what it is worth.

    Attributes:
        fuse_epilogues: bias, residual and activation become part of the product.
        fuse_pairs: back-to-back operators become one kernel where that is measured faster.
        pad: channels are padded where that is measured faster.
    """

    fuse_epilogues: bool = True
    fuse_pairs: bool = True
    pad: bool = True


class Session:
    """Tunes and builds; one profiler serves all models.

    Args:
        library: the templates.
        settings: of the profiler; its threads are the model's.
        folder: holds `records.jsonl` and `decisions.jsonl`; None keeps nothing.
        search: name of a template search.
        budget: of one operator.
        objects: cache of compiled sources; the default one if None.

    Attributes:
        tuned: every operator that was tuned in this session, once.
    """

    def __init__(
        self,
        library: TemplateLibrary,
        settings: ProfileSettings,
        folder: Path | None = None,
        search: str = "hardware_native",
        budget: Budget | None = None,
        objects: ObjectCache | None = None,
    ) -> None:
        self.library, self.settings, self.search = library, settings, search
        self.budget = budget or Budget(trials=64, seconds=60.0)
        self.records = Records(folder / RECORDS) if folder else None
        self.ledger = Ledger(folder / DECISIONS) if folder else None
        self.objects = objects or ObjectCache()
        self.profiler = Profiler(library, settings, self.objects)
        self.race = Race(library, settings, self.objects)
        self.tuned: dict[Operator, Tuned] = {}
        self._failed: dict[Operator, NothingMeasuredError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.profiler.close()

    def tune(self, operator: Operator) -> Tuned:
        """Return the operator's best candidate, from records where these suffice.

        Raises:
            NothingMeasuredError: no candidate has a time; asked again, it is not tried again.
        """
        if operator in self._failed:
            raise self._failed[operator]
        if operator not in self.tuned:
            given = (self.library, self.profiler, self.search, self.budget, self.records)
            try:
                self.tuned[operator] = tune(operator, *given)
            except NothingMeasuredError as error:
                self._failed[operator] = error
                raise
        return self.tuned[operator]

    def build(self, module: tvm.IRModule, passes: Passes | None = None) -> BuiltModel:
        """Return the model, with the passes that are asked for.

        Raises:
            GraphError: it cannot be built.
            NothingMeasuredError: an operator has no kernel.
        """
        passes = passes or Passes()
        options = GraphOptions(
            passes.fuse_epilogues,
            pair_decider(self.tune, self.race, self.ledger) if passes.fuse_pairs else None,
            pad_decider(self.tune, self.race, self.ledger) if passes.pad else None,
        )
        return optimise(module, self.tune, self.library, options, self.objects)

    def build_fastest(self, module: tvm.IRModule, passes: Passes | None = None) -> Kept:
        """Return the model with pairs and padding if that is faster as a whole, else without.

        Both run side by side, whole, and only what is beyond noise counts as faster; if no decision
        was applied there is one build only.
        """
        passes = passes or Passes()
        whole = {"passes": self.build(module, passes)}
        if any(decision.choice.applied for decision in whole["passes"].decisions):
            simple = self.build(module, Passes(passes.fuse_epilogues, False, False))
            whole = {"without": simple} | whole  # the first is kept where noise hides who is faster
        return fastest(whole)
