"""Policies with a decider between them, and what its errors cost.

A decider is a rule whose leaves are numbers of branches. What it sees is what a flow observes;
which context a link is in is known to the experiment only. So three things can be run on the same
links: the branches with the decider, with an oracle that knows each link's context, and each branch
alone on all links. What lies between the first two is the price of the decider's errors; how far
the worst branch falls is what is at stake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from policies.distill.actors import Actor, Branched, ByLink, RuleActor
from policies.distill.judge import Judged, begun, judge_on
from policies.distill.worlds import World
from policies.rules.rule import Rule
from policies.rules.syntax import Expression, If, Number

if TYPE_CHECKING:
    from policies.distill.contexts import Context
    from policies.distill.weights import Network

Labels = NDArray[np.int64]
Decide: TypeAlias = Callable[[NDArray[np.float64]], Labels]
"""From the table of rule inputs, float64[n, WIDTH], to a branch per link, int64[n]."""


@dataclass(frozen=True, eq=False)
class Branches:
    """Several policies, and who says which of them acts.

    Attributes:
        decider: a rule whose value is a place among the policies.
        policies: of the branches; several may be for one context.
        of: of each branch, the context that it is for.
        contexts: boxes of link conditions.

    Raises:
        ValueError: a context has no branch, or `of` does not fit.
    """

    decider: Rule
    policies: tuple[Network | Rule, ...]
    of: tuple[int, ...]
    contexts: tuple[Context, ...]

    def __post_init__(self) -> None:
        if len(self.of) != len(self.policies):
            raise ValueError(f"branches: {len(self.policies)}, contexts told of {len(self.of)}")
        absent = sorted(set(range(len(self.contexts))) ^ set(self.of))
        if absent:
            raise ValueError(
                f"branches: of contexts {sorted(set(self.of))}, but there are "
                f"{len(self.contexts)} contexts; {absent[0]} is without its equal"
            )

    @property
    def first(self) -> tuple[int, ...]:
        """The first branch of each context."""
        return tuple(self.of.index(context) for context in range(len(self.contexts)))


@dataclass(frozen=True, eq=False)
class Decided:
    """How often a decider was right, and what each way to decide brought.

    Attributes:
        confusion: int64[k, k]: decisions on links of context i that a branch of context j made.
        with_decider: the branches with the decider.
        with_oracle: the branches, each on the links of its own context.
        alone: the branch of each context, on all links.
    """

    confusion: Labels
    with_decider: Judged
    with_oracle: Judged
    alone: tuple[Judged, ...]

    @property
    def accuracy(self) -> float:
        """Share of decisions that were left to a branch of the right context."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def largest(self) -> float:
        """Share of decisions on links of the most frequent context: always naming it is as good."""
        return float(self.confusion.sum(axis=1).max() / self.confusion.sum())


class Counted:
    """A decider whose answers are counted against the truth.

    Attributes:
        confusion: int64[k, k], as in `Decided`.
    """

    def __init__(self, branches: Branches, truth: Labels) -> None:
        """Count the answers of the branches' decider; `truth` is the context of each link."""
        self._decide, self._of = decide_by(branches.decider), np.array(branches.of)
        self._truth = truth
        self.confusion = np.zeros((len(branches.contexts),) * 2, np.int64)

    def __call__(self, table: NDArray[np.float64]) -> Labels:
        """Return the decider's answer.

        Raises:
            IndexError: it is no branch.
        """
        labels = self._decide(table)
        np.add.at(self.confusion, (self._truth, self._of[labels]), 1)
        return labels


def decide_by(rule: Rule) -> Decide:
    """Return the decider that a rule is.

    Raises:
        ValueError: the rule has an input that no flow has.
    """
    actor = RuleActor(rule)
    return lambda table: np.rint(actor.policy(table)).astype(np.int64)


def decided(
    branches: Branches, actor_of: Callable[[Any], Actor], world: World, seeds: Sequence[int]
) -> Decided:
    """Run every way to decide on the same links.

    Args:
        branches: decider and policies.
        actor_of: makes a new actor of a policy.
        world: the environment.
        seeds: of the links.

    Raises:
        IndexError: the decider names what is no branch.
    """
    truth = truth_of(branches.contexts, world, seeds)
    counted = Counted(branches, truth)

    def own(places: Sequence[int]) -> list[Actor]:
        return [actor_of(branches.policies[place]) for place in places]

    every = range(len(branches.policies))
    with_decider = judge_on(Branched(counted, own(every)), world, seeds)
    with_oracle = judge_on(ByLink(truth, own(branches.first)), world, seeds)
    alone = tuple(judge_on(actor, world, seeds) for actor in own(branches.first))
    return Decided(counted.confusion, with_decider, with_oracle, alone)


def truth_of(contexts: Sequence[Context], world: World, seeds: Sequence[int]) -> Labels:
    """Return int64[n]: which context the link of each seed is in."""
    from policies.distill.contexts import label

    return label(contexts, begun(world, seeds).links())


def taken_apart(rule: Rule, decider: Rule, contexts: Sequence[Context]) -> Branches:
    """Return the branches of a rule that begins with a decider's questions.

    Refinement may have moved the rule's thresholds, and the formulas of two leaves of one context
    apart; so the thresholds are the rule's own, and every leaf is a branch.

    Args:
        rule: the whole.
        decider: the same questions, with numbers of contexts for leaves.
        contexts: that it tells apart.

    Raises:
        ValueError: the rule does not ask what the decider asks, or a leaf of the decider is no
            number of a context; or as `Branches`.
    """
    leaves: list[tuple[int, Expression]] = []
    body = _questions(rule.body, decider.body, leaves, f"rule {rule.name}")
    high = max(1, len(leaves) - 1)
    own = Rule("decider", 0, high, rule.inputs, body)
    policies = tuple(
        Rule(f"branch_{place}", rule.low, rule.high, rule.inputs, formula)
        for place, (_, formula) in enumerate(leaves)
    )
    return Branches(own, policies, tuple(context for context, _ in leaves), tuple(contexts))


def _questions(
    node: Expression, asked: Expression, leaves: list[tuple[int, Expression]], where: str
) -> Expression:
    """Return the rule's questions with places of leaves below them; append its leaves."""
    if not isinstance(asked, If):
        if not isinstance(asked, Number) or not asked.value.is_integer() or asked.value < 0:
            raise ValueError(f"{where}: a leaf of its decider is no number of a context")
        leaves.append((int(asked.value), node))
        return Number(len(leaves) - 1)
    if not isinstance(node, If) or _subject(node) != _subject(asked):
        raise ValueError(f"{where}: does not begin with the questions of its decider")
    below = _questions(node.then, asked.then, leaves, where)
    return If(node.condition, below, _questions(node.otherwise, asked.otherwise, leaves, where))


def _subject(node: If) -> tuple[Any, ...]:
    """Return what a question is about, whatever its threshold."""
    condition = node.condition
    sides = (condition.left, condition.right)
    return (condition.kind, *(None if isinstance(side, Number) else side for side in sides))
