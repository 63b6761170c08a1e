"""Who is compared in the corrected world, by the names that manifests write.

An entrant is a network, a rule, or several of either with a decider that says whose turn it is.
Each is read from the files that ship with the controllers of `policies.congestion`; whoever adds a
rule adds a class of three lines. `rule_file` is whatever rule a run brings along.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from policies.congestion.shipped import BRANCHING, DISTILLING, RULES, TRAINING, WEIGHTS
from policies.registry import Registry

if TYPE_CHECKING:  # naming the entrants must load nothing heavy
    from policies.distill.actors import Actor
    from policies.distill.branches import Branches
    from policies.distill.weights import Network
    from policies.rules.rule import Rule

ENTRANTS: Registry[Any] = Registry("policies.distill", "policy of the corrected world")
register = ENTRANTS.register

TEACHER = WEIGHTS / "teacher_corrected.safetensors"
DECIDER, CONTEXTS = RULES / "specialists.rule", WEIGHTS / "contexts.json"
FRONT = RULES / "symbolic.front.json"
"""What the shipped rule was chosen from."""
SPECIALISTS = (
    *("specialist_0.safetensors", "specialist_1.safetensors"),
    *("specialist_2.safetensors", "specialist_3.safetensors"),
)
BRANCHED_CONTEXTS = RULES / "symbolic_branched.contexts.json"
GIVEN = "rule_file"
"""The entrant whose rule a run brings along."""
BRANCHED = ("specialists", "symbolic_branched")
"""Entrants with a decider."""

Player: TypeAlias = "Network | Rule | Branches"


class Entrant(ABC):
    """Base: files that ship, and what reads them."""

    files: ClassVar[tuple[Path, ...]] = ()
    parts: ClassVar[tuple[Path, ...]] = ()
    """Further files, without which the branches are not known."""
    made_by: ClassVar[str] = ""
    """The command that makes the files."""

    @classmethod
    @abstractmethod
    def load(cls) -> Player:
        """Return the policy.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is damaged; the message names it.
        """

    @classmethod
    def branches(cls) -> Branches:
        """Return the policy's branches with their decider and contexts.

        Raises:
            OSError: a file cannot be read.
            ValueError: it has none, or a file is damaged; the message says which.
        """
        known = ", ".join(BRANCHED)
        raise ValueError(f"policy {cls.__name__}: has no decider; those that have one: {known}")

    @classmethod
    def lacks(cls, branches: bool = False) -> tuple[str, ...]:
        """Return a message per file that is not there: which, and how it is made.

        Args:
            branches: whether decider and branches are wanted apart.
        """
        wanted = (*cls.files, *(cls.parts if branches else ()))
        absent = [path for path in wanted if not path.is_file()]
        return tuple(f"{path.name} ({cls.made_by})" for path in absent)


class OfNetwork(Entrant):
    """Base of the teacher, whole or with a `share` of its weights removed."""

    share: ClassVar[float] = 0.0
    files = (TEACHER,)
    made_by = "python -m policies.distill.train_teacher corrected"

    @classmethod
    def load(cls) -> Network:
        """Return the network; pruned by magnitude over all layers, and not trained again."""
        from dataclasses import replace

        from policies.congestion.pruning import prune
        from policies.distill.weights import read_network

        network = read_network(TEACHER)
        return replace(network, tensors=prune(network.tensors, cls.share)) if cls.share else network


class OfRule(Entrant):
    """Base of those that are one rule file."""

    @classmethod
    def load(cls) -> Rule:
        """Return the rule."""
        from policies.rules.parse import read_rule

        return read_rule(cls.files[0])


@register("teacher")
class Teacher(OfNetwork):
    """The network that rules are distilled from."""


@register("teacher_pruned_50")
class Pruned50(OfNetwork):
    """The teacher without the smallest 50 % of its weights."""

    share = 0.5


@register("teacher_pruned_80")
class Pruned80(OfNetwork):
    """The teacher without the smallest 80 % of its weights."""

    share = 0.8


@register("teacher_pruned_90")
class Pruned90(OfNetwork):
    """The teacher without the smallest 90 % of its weights."""

    share = 0.9


@register("specialists")
class Specialists(Entrant):
    """A network per context, and the shipped decider."""

    files = (DECIDER, CONTEXTS, *(WEIGHTS / name for name in SPECIALISTS))
    made_by = f"{TRAINING}, then {BRANCHING}"

    @classmethod
    def load(cls) -> Branches:
        """Return the networks with decider and contexts."""
        return cls.branches()

    @classmethod
    def branches(cls) -> Branches:
        """Return the networks with decider and contexts."""
        from policies.distill.branches import Branches
        from policies.distill.specialists import read_specialists
        from policies.rules.parse import read_rule

        contexts, networks = read_specialists(WEIGHTS)
        return Branches(read_rule(DECIDER), networks, tuple(range(len(networks))), contexts)


@register("symbolic")
class Symbolic(OfRule):
    """Distilled from the teacher: one formula for all links."""

    files = (RULES / "symbolic.rule",)
    made_by = f"{DISTILLING} symbolic"


@register("symbolic_branched")
class SymbolicBranched(OfRule):
    """Distilled per context: a decider, and a formula in each of its branches."""

    files = (RULES / "symbolic_branched.rule",)
    parts = (DECIDER, BRANCHED_CONTEXTS)
    made_by = BRANCHING

    @classmethod
    def branches(cls) -> Branches:
        """Return the rule taken apart at the leaves of its decider."""
        from policies.distill.branches import taken_apart
        from policies.distill.contexts import read_contexts
        from policies.rules.parse import read_rule

        return taken_apart(cls.load(), read_rule(DECIDER), read_contexts(BRANCHED_CONTEXTS))


@register("rule_linear")
class Linear(OfRule):
    """Least squares on the inputs of rules."""

    files = (RULES / "linear.rule",)
    made_by = f"{DISTILLING} linear"


@register("rule_tree")
class Tree(OfRule):
    """A regression tree on the inputs of rules."""

    files = (RULES / "tree.rule",)
    made_by = f"{DISTILLING} tree"


@register("rule_gentle")
class Gentle(OfRule):
    """Written by hand, not distilled."""

    files = (RULES / "gentle.rule",)


@register("rule_file")
class Given(Entrant):
    """A rule that a run brings along."""


def load(name: str, rule_text: str | None = None) -> Player:
    """Return the policy called `name`.

    Args:
        name: of a registered entrant.
        rule_text: content of the file that `rule_file` stands for.

    Raises:
        UnknownNameError: nobody is called so.
        OSError: a file cannot be read.
        ValueError: a file is damaged, or there is no rule for `rule_file`.
    """
    entrant: type[Entrant] = ENTRANTS.get(name)
    if name != GIVEN:
        return entrant.load()
    if rule_text is None:
        raise ValueError(f"policy {GIVEN!r}: name the rule's file, -s rule_file=PATH")
    from policies.rules.parse import parse_rule

    return parse_rule(rule_text, GIVEN)


def actor_of(player: Player) -> Actor:
    """Return a new actor of a policy.

    Raises:
        ValueError: a rule has an input that no flow has.
    """
    from policies.distill.actors import Branched, OnObservations, RuleActor
    from policies.distill.branches import Branches, decide_by
    from policies.rules.rule import Rule

    if isinstance(player, Rule):
        return RuleActor(player)
    if isinstance(player, Branches):
        return Branched(decide_by(player.decider), [actor_of(one) for one in player.policies])
    return OnObservations(player)
