"""What a distillation is made of: links, contexts, rounds, regression, choice, refinement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

from policies.congestion.rule_inputs import INPUTS
from policies.distill.assemble import MOST_PATH, MOST_TOTAL
from policies.distill.contexts import CONDITIONS
from policies.distill.decider import check_balance
from policies.distill.operon import OperonSettings
from policies.distill.pysr import PysrSettings
from policies.distill.refine import RefineSettings
from policies.distill.rollouts import MOST_ROWS
from policies.distill.teacher_config import corrected_links
from policies.distill.trees import MOST_LEAVES
from policies.distill.worlds import CORRECTED, World
from policies.registry import UnknownNameError
from policies.rules.syntax import check_name
from sim.net.problems import ScenarioError, number, whole
from sim.streams import stream

PART = "DistilConfig"
METHODS = ("operon", "pysr", "linear", "tree")
QUICK = 60_000
"""Evaluations of a search whose rule is for the next roll-out only."""
WITH_UNITS = ("min_rtt_ms", "received_mbps", "sent_packets")
SCALE_FREE = tuple(name for name in INPUTS if name not in WITH_UNITS)
"""Inputs that tell nothing of a link's size, so that what is learnt on some links holds on others.
(`packets` says the same as `sent_packets`, in another unit.)"""
PURPOSES: Mapping[str, str] = {
    "exploration": "train",
    "rollouts": "train",
    "refinement": "train",
    "last refinement": "train",
    "choice": "validation",
    "kept": "validation",
    "last kept": "validation",
    "deciders": "validation",
    "rounds": "validation",
    "accuracy": "validation",
}
"""What links are for -> the split that they belong to. Test links are for reports alone."""


@dataclass(frozen=True)
class ChoiceSettings:
    """How members of fronts are chosen.

    Attributes:
        links: that they are run on.
        shortlist: members that are run on all of them.
    """

    links: int = 200
    shortlist: int = 12

    def check(self, part: str) -> None:
        """Check every field.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        whole(part, "links", self.links, 2, 100_000)
        whole(part, "shortlist", self.shortlist, 1, 100_000)


@dataclass(frozen=True)
class DistilConfig:
    """Parameters of a distillation. Changing one lets only the steps that depend on it be redone.

    Attributes:
        world: environment and links; of `triptych/Pcc-v1`, as rules read its intervals.
        name: of the rule.
        seed: of links, rows, regressions and searches.
        contexts: how many; 1: an unbranched rule, without a decider.
        by: conditions that links are parted by.
        explored: links on which the teacher is run to find contexts.
        specialists: whether rows are labelled by the specialist of the link's context, and not by
            the teacher.
        method: of regression: `operon`, `pysr`, `linear`, `tree`.
        inputs: that rules may use, of `rule_inputs.INPUTS`.
        rounds: of DAgger after the first roll-outs, which are the teacher's own.
        links_per_round: links of each roll-out.
        every: of so many rows of a roll-out one is kept.
        mix: in round r the teacher acts itself on this share to the power of r of the links.
        rows: that a regression sees at most, for each context.
        operon, quick_operon: of the last round's regressions, and of those before it.
        pysr, quick_pysr: the same for method `pysr`.
        terms: sizes of the sums of method `linear`.
        leaves: sizes of the trees of method `tree`.
        choice, quick_choice: in the last round, and in those before it.
        decider_inputs: that the decider may use.
        decider_leaves: at most; what it takes is missing from the branches' operations.
        balances: deciders are fitted with each of them (`decider.fit_decider`); in every round the
            one that brings most is taken.
        refine: of each branch, on links of its context; None: none. An unbranched rule is refined
            by `last` only.
        last: of the assembled rule, on all links; None: none.
        refine_links, last_links: that candidates are run on.
        kept_links: other links, that decide whether a refined rule is taken.
        judged_links: that the rule of each round is judged on, and the decider.
        most_path, most_total: operations of a rule, on its costliest path and in all.
    """

    world: World = field(default_factory=lambda: World(CORRECTED, corrected_links()))
    name: str = "symbolic"
    seed: int = 0
    contexts: int = 1
    by: tuple[str, ...] = CONDITIONS
    explored: int = 1000
    specialists: bool = False
    method: str = "operon"
    inputs: tuple[str, ...] = SCALE_FREE
    rounds: int = 2
    links_per_round: int = 300
    every: int = 1
    mix: float = 0.0
    rows: int = 10_000
    operon: OperonSettings = field(default_factory=OperonSettings)
    quick_operon: OperonSettings = field(default_factory=lambda: OperonSettings(evaluations=QUICK))
    pysr: PysrSettings = field(default_factory=PysrSettings)
    quick_pysr: PysrSettings = field(default_factory=lambda: PysrSettings(iterations=10))
    terms: tuple[int, ...] = (2, 4, 8, 12, 16, 24)
    leaves: tuple[int, ...] = (4, 8, 16, 32, 64)
    choice: ChoiceSettings = field(default_factory=ChoiceSettings)
    quick_choice: ChoiceSettings = field(default_factory=lambda: ChoiceSettings(100, 6))
    decider_inputs: tuple[str, ...] = tuple(INPUTS)
    decider_leaves: int = 6
    balances: tuple[float, ...] = (0.0, 0.5, 1.0)
    refine: RefineSettings | None = field(default_factory=lambda: RefineSettings(20, 12))
    last: RefineSettings | None = field(default_factory=lambda: RefineSettings(30, 14))
    refine_links: int = 100
    last_links: int = 150
    kept_links: int = 300
    judged_links: int = 300
    most_path: int = MOST_PATH
    most_total: int = MOST_TOTAL

    def check(self) -> None:
        """Check every field.

        Raises:
            ScenarioError: a field is out of range; the message names it.
            UnknownNameError: a name is not among those that there are.
            RuleError: `name` cannot be the name of a rule.
        """
        if self.world.environment != CORRECTED:
            raise ScenarioError(f"{PART}: world must be of {CORRECTED}, whose intervals rules read")
        self.world.config.check(tuple(self.world.model.FEATURES))
        check_name(self.name, "rule")
        if self.method not in METHODS:
            raise UnknownNameError("method of regression", self.method, METHODS)
        for place, known in (("by", CONDITIONS), ("inputs", INPUTS), ("decider_inputs", INPUTS)):
            _names(place, getattr(self, place), known)
        if not isinstance(self.specialists, bool):
            raise ScenarioError(f"{PART}: specialists must be true or false")
        whole(PART, "seed", self.seed)
        whole(PART, "contexts", self.contexts, 1, 64)
        whole(PART, "rounds", self.rounds, 0, 100)
        whole(PART, "every", self.every, 1, self.world.config.steps)
        for name in ("explored", "links_per_round", "refine_links", "last_links"):
            whole(PART, name, getattr(self, name), 2, 100_000)
        for name in ("kept_links", "judged_links"):
            whole(PART, name, getattr(self, name), 2, 100_000)
        number(PART, "mix", self.mix, at_least=0.0, below=1.0)
        whole(PART, "rows", self.rows, 10, 10**8)
        noted = self.links_per_round * -(-self.world.config.steps // self.every)
        whole(PART, "links_per_round * steps / every", noted, 2, MOST_ROWS)
        for name, most in (("terms", 30), ("leaves", MOST_LEAVES)):
            _sizes(name, getattr(self, name), most)
        whole(PART, "decider_leaves", self.decider_leaves, self.contexts, MOST_LEAVES)
        if not isinstance(self.balances, tuple) or not self.balances:
            raise ScenarioError(f"{PART}: balances must be a tuple of numbers from 0 to 1")
        for balance in self.balances:
            check_balance(balance)
        whole(PART, "most_path", self.most_path, 1, 2000)
        whole(PART, "most_total", self.most_total, 1, 2000)
        self.choice.check(f"{PART}: choice")
        self.quick_choice.check(f"{PART}: quick_choice")
        for search in (self.operon, self.quick_operon, self.pysr, self.quick_pysr):
            search.check()
        for settings in (self.refine, self.last):
            if settings is not None:
                settings.check()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        own = {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}
        return own | {"world": self.world.as_json()}


def plain(value: Any) -> Any:
    """Return settings, or a tuple of names, as JSON values; what is JSON stays as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(part) for name, part in asdict(value).items()}
    return list(value) if isinstance(value, tuple) else value


def links_for(purpose: str, seed: int, count: int, round_: int = 0) -> list[int]:
    """Return the seeds of the first `count` links for a purpose; each purpose has its own.

    Raises:
        UnknownNameError: there is no such purpose.
    """
    if purpose not in PURPOSES:
        raise UnknownNameError("purpose of links", purpose, PURPOSES)
    drawn = stream(seed, {"links": PURPOSES[purpose], "for": purpose, "round": round_}, "seeds")
    return drawn.integers(0, 2**62, size=count).tolist()


def symbolic(**changes: Any) -> DistilConfig:
    """Return the distillation into one formula, changed where `changes` says so."""
    return replace(DistilConfig(), **changes)


def branched(**changes: Any) -> DistilConfig:
    """Return the distillation into four formulas and a decider."""
    return replace(DistilConfig(name="symbolic_branched", contexts=4), **changes)


def linear(**changes: Any) -> DistilConfig:
    """Return the distillation into a weighted sum of inputs."""
    return replace(DistilConfig(name="linear", method="linear", last=None), **changes)


def tree(**changes: Any) -> DistilConfig:
    """Return the distillation into comparisons with a constant action in every leaf, as VIPER's.

    O. Bastani, Y. Pu, A. Solar-Lezama, "Verifiable Reinforcement Learning via Policy Extraction",
    NeurIPS 2018.
    """
    return replace(DistilConfig(name="tree", method="tree", last=None), **changes)


PRESETS: dict[str, Callable[..., DistilConfig]] = {
    "symbolic": symbolic,
    "branched": branched,
    "linear": linear,
    "tree": tree,
}


def preset(name: str, **changes: Any) -> DistilConfig:
    """Return the distillation called `name`, changed where `changes` says so.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in PRESETS:
        raise UnknownNameError("distillation", name, PRESETS)
    return PRESETS[name](**changes)


def _names(place: str, given: Any, known: Any) -> None:
    if not isinstance(given, tuple) or not given:
        raise ScenarioError(f"{PART}: {place} must be a tuple of names, got {given!r:.80}")
    for name in given:
        if name not in known:
            raise UnknownNameError(f"name in {place}", str(name), known)
    if len(set(given)) < len(given):
        raise ScenarioError(f"{PART}: {place} has a name twice")


def _sizes(place: str, given: Any, most: int) -> None:
    if not isinstance(given, tuple) or not given:
        raise ScenarioError(f"{PART}: {place} must be a tuple of sizes, got {given!r:.80}")
    for number_, size in enumerate(given):
        whole(PART, f"{place}[{number_}]", size, 1, most)
