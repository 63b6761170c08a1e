"""Distillation: from a teacher's network to a symbolic rule, in steps that each leave a file.

Roll-outs by the teacher; contexts of links on which its return is alike; for each context a
regression of its actions on the table of rule inputs, and a choice from the Pareto front by return;
a decider that tells contexts apart by what a sender observes; the rule assembled of both. Roll-outs
by that rule, labelled by the teacher, are rows of the next round (DAgger: Ross, Gordon, Bagnell,
AISTATS 2011). After the last round constants are refined on return: of each branch on links of its
context, then of the whole rule on all links.

S P Sharan et al., "Symbolic Distillation for Learned TCP Congestion Control", NeurIPS 2022, Fig. 3,
has roll-outs, clusters of conditions, an agent and a rule for each, and the decider; its code was
not published. DAgger, choice and refinement on return are ours.

The same seed gives the same bytes, on one machine with one version of each package. A distillation
that was stopped goes on where it was (`steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from policies.distill.choice import Choice
from policies.distill.contexts import Context
from policies.distill.decider import Accuracy, Decider
from policies.distill.distil_config import DistilConfig
from policies.distill.distil_files import Round
from policies.distill.distil_plan import expected_seconds
from policies.distill.distil_steps import DistilSteps
from policies.distill.fronts import Candidate
from policies.distill.refine import Refined
from policies.distill.steps import Progress, Steps
from policies.distill.weights import Network
from policies.rules.rule import Rule


@dataclass(frozen=True, eq=False)
class Distilled:
    """What came of a distillation.

    Attributes:
        config: its parameters.
        rule: the result.
        contexts: that links were parted into; one that holds all for an unbranched rule.
        decider: of `rule`, with thresholds as refined; None if there is one branch.
        accuracy: of the decider on other links, the rule acting; None if there is one branch.
        fronts: of the last round, for each context; after its own candidates those for any.
        choices: from them.
        branches: how these were refined; empty where they were not.
        refined: how the whole rule was refined; None where it was not.
        rounds: the rule of each round, not refined, and how good it was.
    """

    config: DistilConfig
    rule: Rule
    contexts: tuple[Context, ...]
    decider: Decider | None
    accuracy: Accuracy | None
    fronts: tuple[list[Candidate], ...]
    choices: tuple[Choice, ...]
    branches: tuple[Refined, ...]
    refined: Refined | None
    rounds: tuple[Round, ...]

    @property
    def front(self) -> list[Candidate]:
        """The front of an unbranched rule; of a branched one, the first context's."""
        return self.fronts[0]

    @property
    def curve(self) -> tuple[float, ...]:
        """Mean reward / mean ideal of the rule of each round, all on the same links."""
        return tuple(one.share for one in self.rounds)


# paper: symbolicpcc distillation
def distil(
    config: DistilConfig,
    teacher: Network,
    folder: Path,
    specialists: Sequence[Network] | None = None,
    contexts: Sequence[Context] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Distilled:
    """Distil a teacher, or go on with a distillation that was interrupted.

    Args:
        config: parameters.
        teacher: acts in the first roll-outs and gives labels, unless specialists do.
        folder: of the steps' files. Steps whose files are there, of the same parameters and of the
            same files before them, are read and not done again.
        specialists: one network per context, if `config.specialists` says so.
        contexts: to use; None: found from the teacher's return. Specialists need theirs.
        progress: is told how far it is.

    Raises:
        ScenarioError: a parameter is out of range; the message names it.
        ValueError: networks, contexts and parameters do not fit; a file is damaged, the message
            says which one to remove; or no rule came out that costs as little as it must.
        OSError: the folder cannot be written.
    """
    config.check()
    labellers = _labellers(config, teacher, specialists, contexts)
    to_find = contexts is None
    steps = Steps(folder, expected_seconds(config, config.contexts, to_find), progress)
    todo = DistilSteps(config, teacher, labellers, contexts, steps)
    steps.expect(expected_seconds(config, len(todo.contexts), to_find))
    rows, rounds = todo.rollouts(0, None), []
    while True:
        number = len(rounds)
        fronts, deciders = todo.fronts(number, rows), todo.deciders(number, rows)
        choices = todo.choices(number, fronts, deciders)
        decider = todo.decider(number, deciders, choices)
        rounds.append(todo.judged(number, rows, decider, choices))
        if number == config.rounds:
            break
        rows = rows.joined(todo.rollouts(number + 1, rounds[-1].rule))
    branches = todo.branches(choices)
    assembled = todo.assembled(decider, [one.rule for one in branches or choices])
    refined = todo.refined(assembled)
    full = assembled if refined is None else refined.rule
    rule = todo.finished(full, decider)
    found = todo.accuracy(rule, full, decider)
    parts = (fronts, choices, branches, refined)
    return Distilled(config, rule, todo.contexts, *found, *parts, tuple(rounds))


def _labellers(
    config: DistilConfig,
    teacher: Network,
    specialists: Sequence[Network] | None,
    contexts: Sequence[Context] | None,
) -> tuple[Network, ...]:
    """Return the networks that label rows: one per context, or the teacher alone."""
    if contexts is not None and len(contexts) != config.contexts:
        raise ValueError(
            f"contexts: {len(contexts)} are given, but the parameters say {config.contexts}"
        )
    found = (teacher,)
    if config.specialists:
        if specialists is None or contexts is None:
            raise ValueError(
                "specialists: their networks and their contexts must be given; "
                "python -m policies.distill.train_specialists makes them"
            )
        found = tuple(specialists)
        if len(found) != len(contexts):
            raise ValueError(f"specialists: {len(found)} networks for {len(contexts)} contexts")
    elif specialists is not None:
        raise ValueError("specialists: are given, but the parameters say that there are none")
    for network in (teacher, *found):
        for name in ("features", "history", "delta"):
            ours, its = getattr(config.world.config, name), getattr(network.world.config, name)
            if ours != its:
                raise ValueError(f"teacher: its {name} is {its!r:.60}, the links' is {ours!r:.60}")
    return found
