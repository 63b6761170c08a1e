"""The steps of a distillation: each a function that gives back what lies in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from policies.distill import distil_plan as plan
from policies.distill.actors import Policy, RuleActor
from policies.distill.assemble import assemble, check_cost, decider_in, room, simplified
from policies.distill.choice import Choice, choose, share_of
from policies.distill.contexts import Context, find_contexts, label
from policies.distill.decider import Accuracy, Decider, accuracy, fit_decider
from policies.distill.distil_config import DistilConfig, links_for, plain
from policies.distill.distil_files import (
    ACCURACY,
    CHOICE,
    CONTEXTS,
    DECIDER,
    FRONT,
    REFINED,
    ROLLOUTS,
    ROUND,
    RULE,
    Round,
)
from policies.distill.fitting import fit, settings_of
from policies.distill.fronts import Candidate
from policies.distill.judge import begun, judge_on
from policies.distill.refine import Refined, RefineSettings, refine
from policies.distill.rollouts import Rollouts, collect
from policies.distill.specialists import ContextTeachers
from policies.distill.steps import Steps
from policies.distill.weights import Network
from policies.distill.worlds import World
from policies.rules.rule import Rule
from sim.streams import stream


class DistilSteps:
    """What the steps share.

    Attributes:
        contexts: that links are parted into.
        worlds: each context's links.
    """

    def __init__(
        self,
        config: DistilConfig,
        teacher: Network,
        labellers: Sequence[Network],
        given: Sequence[Context] | None,
        steps: Steps,
    ) -> None:
        """Find the contexts, or take those that are given.

        Args:
            config: parameters.
            teacher: acts to find contexts.
            labellers: label rows: one network per context, or one for all.
            given: contexts; None: to be found.
            steps: where results are kept.
        """
        self.config, self.teacher, self.labellers, self.steps = config, teacher, labellers, steps
        self.links = {"world": config.world.as_json(), "seed": config.seed}
        self.contexts = self._contexts(given)
        self.worlds = [context.world(config.world) for context in self.contexts]

    def _contexts(self, given: Sequence[Context] | None) -> tuple[Context, ...]:
        config = self.config
        if given is not None or config.contexts == 1:
            found = tuple(given or (Context({}),))
            told = {"given": [str(sorted(context.ranges.items())) for context in found]}
            return self.steps.do("contexts", CONTEXTS, told, [], lambda: found)
        seeds = links_for("exploration", config.seed, config.explored)
        every = config.world.config.steps  # shares count, not rows
        seen = self.steps.do(
            "exploration",
            ROLLOUTS,
            {**self.links, "links": config.explored, "teacher": self.teacher.digest},
            [],
            lambda: collect(config.world, self.teacher, seeds, every=every),
        )
        return self.steps.do(
            "contexts",
            CONTEXTS,
            {"count": config.contexts, "by": list(config.by)},
            ["exploration"],
            lambda: find_contexts(seen.conditions, seen.share, config.contexts, config.by),
        )

    def _labeller(self, seeds: Sequence[int]) -> Policy:
        """Return what labels rows on the links of these seeds."""
        if len(self.labellers) == 1:
            return self.labellers[0]
        known = begun(self.config.world, seeds).links()
        return ContextTeachers(self.contexts, self.labellers, known)

    def rollouts(self, round_: int, rule: Rule | None) -> Rollouts:
        """Return the rows for a round: under the rule of the round before, or the teacher."""
        config = self.config
        seeds = links_for("rollouts", config.seed, config.links_per_round, round_)
        told = {
            **self.links,
            "links": config.links_per_round,
            "every": config.every,
            "mix": 1.0 if rule is None else config.mix**round_,
            "labellers": [network.digest for network in self.labellers],
        }

        def made() -> Rollouts:
            luck = stream(config.seed, {"distil": "rollouts", "round": round_}, "mix")
            actor = None if rule is None else RuleActor(rule)
            teacher, mix = self._labeller(seeds), config.mix**round_
            return collect(config.world, teacher, seeds, actor, mix, luck, config.every)

        uses = [] if len(self.labellers) == 1 else ["contexts"]
        uses += [] if rule is None else [plan.judged(round_ - 1)]
        return self.steps.do(plan.rollouts(round_), ROLLOUTS, told, uses, made)

    def fronts(self, round_: int, rows: Rollouts) -> tuple[list[Candidate], ...]:
        """Return the candidates for each context: its own, and after them those for any context.

        The latter are fitted on all rows. What one formula can do everywhere, every branch can.
        """
        labels = label(self.contexts, rows.conditions)
        own = [
            self._front(round_, context, rows.of_links(labels == context))
            for context in range(len(self.contexts))
        ]
        if len(own) == 1:
            return tuple(own)
        common = self._front(round_, len(own), rows)
        return tuple([*front, *common] for front in own)

    def _front(self, round_: int, place: int, rows: Rollouts) -> list[Candidate]:
        """Return the candidates fitted on the rows of a context, or, after the last one, of all."""
        config = self.config
        told = {
            "method": config.method,
            "settings": settings_of(config, round_),
            "inputs": list(config.inputs),
            "rows": config.rows,
            "seed": config.seed,
        }
        return self.steps.do(
            plan.front(round_, place),
            FRONT,
            told,
            self._rows_of(round_),
            lambda: fit(rows, config, round_, place),
        )

    def deciders(self, round_: int, rows: Rollouts) -> list[Decider]:
        """Return what can tell contexts apart, one per balance; none if there is one context."""
        if len(self.contexts) == 1:
            return []
        config, known = self.config, label(self.contexts, rows.conditions)
        names, leaves, seed = config.decider_inputs, config.decider_leaves, config.seed

        def made(balance: float) -> Decider:
            return fit_decider(rows, known, names, leaves, seed % 2**32, balance=balance)

        return [
            self.steps.do(
                plan.candidate(round_, place),
                DECIDER,
                {"inputs": list(names), "leaves": leaves, "seed": seed, "balance": balance},
                self._rows_of(round_),
                lambda balance=balance: made(balance),
            )
            for place, balance in enumerate(config.balances)
        ]

    def choices(
        self, round_: int, fronts: Sequence[list[Candidate]], deciders: Sequence[Decider]
    ) -> tuple[Choice, ...]:
        """Return what is chosen for each context, on links of its own, to fit any decider."""
        config = self.config
        rooms = [room(one, config.most_path, config.most_total) for one in deciders or [None]]
        path, total = (min(sizes) for sizes in zip(*rooms, strict=True))
        quick = round_ < config.rounds
        settings = config.quick_choice if quick else config.choice
        seeds = links_for("choice", config.seed, settings.links, round_)
        return tuple(
            self.steps.do(
                plan.chosen(round_, context),
                CHOICE,
                {
                    **self.links,
                    **plain(settings),
                    "path": path,
                    "total": total,
                    "name": self._name_of(context),
                },
                ["contexts", *self._fronts_of(round_, context)],
                lambda context=context: choose(
                    fronts[context],
                    self.worlds[context],
                    seeds,
                    path,
                    settings.shortlist,
                    most_total=total,
                    name=self._name_of(context),
                    tell=self.steps.tell,
                ),
            )
            for context in range(len(self.contexts))
        )

    def decider(
        self, round_: int, deciders: Sequence[Decider], choices: Sequence[Choice]
    ) -> Decider | None:
        """Return the decider with which the choices bring most; None if there is one context."""
        if not deciders:
            return None
        config, rules = self.config, [choice.rule for choice in choices]
        seeds = links_for("deciders", config.seed, config.judged_links, round_)

        def made() -> Decider:
            shares = []
            for done, one in enumerate(deciders):
                actor = RuleActor(self._assembled(one, rules))
                shares.append(share_of(judge_on(actor, config.world, seeds)))
                said = f"balance {config.balances[done]}: share {shares[-1]:.3f}"
                self.steps.tell((done + 1) / len(deciders), said)
            return deciders[shares.index(max(shares))]

        uses = [plan.candidate(round_, place) for place in range(len(deciders))]
        uses += [plan.chosen(round_, context) for context in range(len(self.contexts))]
        told = {**self.links, **self._limits(), "links": config.judged_links}
        return self.steps.do(plan.decider(round_), DECIDER, told, uses, made)

    def judged(
        self, round_: int, rows: Rollouts, decider: Decider | None, choices: Sequence[Choice]
    ) -> Round:
        """Return the rule of a round, not refined, and how good it is."""
        config = self.config
        seeds = links_for("rounds", config.seed, config.judged_links)

        def made() -> Round:
            rule = self._assembled(decider, [choice.rule for choice in choices])
            found = judge_on(RuleActor(rule), config.world, seeds)
            error = float(np.mean([choice.chosen.error for choice in choices]))
            return Round(rule, len(rows), error, share_of(found), found.share_median().value)

        uses = [*self._rows_of(round_), *self._parts_of(round_)]
        told = {**self.links, **self._limits(), "links": config.judged_links}
        return self.steps.do(plan.judged(round_), ROUND, told, uses, made)

    def branches(self, choices: Sequence[Choice]) -> tuple[Refined, ...]:
        """Return the choices refined on links of their contexts; none if there is one context."""
        settings = self.config.refine
        if settings is None or len(self.contexts) == 1:
            return ()
        return tuple(
            self._refined(
                plan.branch(context),
                choice.rule,
                self.worlds[context],
                settings,
                ("refinement", self.config.refine_links, "kept"),
                ["contexts", plan.chosen(self.config.rounds, context)],
            )
            for context, choice in enumerate(choices)
        )

    def assembled(self, decider: Decider | None, rules: Sequence[Rule]) -> Rule:
        """Return decider and branches as one rule."""
        uses = self._parts_of(self.config.rounds)
        if self.config.refine is not None and len(self.contexts) > 1:
            uses += [plan.branch(context) for context in range(len(self.contexts))]
        return self.steps.do(
            "assembled", RULE, self._limits(), uses, lambda: self._assembled(decider, rules)
        )

    def refined(self, rule: Rule) -> Refined | None:
        """Return the assembled rule refined on all links; None if that is not wished."""
        config = self.config
        if config.last is None:
            return None
        use = ("last refinement", config.last_links, "last kept")
        return self._refined("refined", rule, config.world, config.last, use, ["assembled"])

    def finished(self, rule: Rule, decider: Decider | None) -> Rule:
        """Return the rule with the same actions that takes the fewest operations."""
        limits = self.config.most_path, self.config.most_total

        def made() -> Rule:
            small = simplified(rule, decider)
            check_cost(small, *limits)
            return small

        uses = [self._last()] if decider is None else [self._last(), self._last_decider()]
        return self.steps.do("rule", RULE, self._limits(), uses, made)

    def accuracy(
        self, rule: Rule, refined: Rule, decider: Decider | None
    ) -> tuple[Decider | None, Accuracy | None]:
        """Return the decider as it is in the refined rule, and how often it is right."""
        if decider is None:
            return None, None
        config = self.config
        uses = [self._last(), self._last_decider()]
        own = self.steps.do("decider", DECIDER, {}, uses, lambda: decider_in(refined, decider))
        seeds = links_for("accuracy", config.seed, config.judged_links)

        def made() -> Accuracy:
            rows = collect(config.world, self.teacher, seeds, RuleActor(rule), every=config.every)
            return accuracy(own, rows, label(self.contexts, rows.conditions))

        told = {**self.links, "links": config.judged_links, "every": config.every}
        found = self.steps.do("accuracy", ACCURACY, told, ["contexts", "rule", "decider"], made)
        return own, found

    def _refined(
        self,
        name: str,
        rule: Rule,
        world: World,
        settings: RefineSettings,
        use: tuple[str, int, str],
        uses: Sequence[str],
    ) -> Refined:
        """Refine a rule; `use` is what links are for, how many, and what those kept are for."""
        config, (purpose, links, kept) = self.config, use
        luck = stream(config.seed, {"distil": name, "seed": settings.seed}, "refine")
        search = RefineSettings(**{**plain(settings), "seed": int(luck.integers(2**31))})
        seeds = links_for(purpose, config.seed, links)
        keep = links_for(kept, config.seed, config.kept_links)
        told = {**self.links, "search": plain(search), "links": links, "kept": config.kept_links}
        return self.steps.do(
            name,
            REFINED,
            told,
            uses,
            lambda: refine(rule, world, seeds, search, keep, self.steps.tell),
        )

    def _assembled(self, decider: Decider | None, rules: Sequence[Rule]) -> Rule:
        config = self.config
        return assemble(config.name, decider, rules, config.most_path, config.most_total)

    def _name_of(self, context: int) -> str:
        many = len(self.contexts) > 1
        return f"{self.config.name}_{context}" if many else self.config.name

    def _fronts_of(self, round_: int, context: int) -> list[str]:
        """Return the steps that the candidates for a context come from."""
        many = len(self.contexts) > 1
        places = (context, len(self.contexts)) if many else (context,)
        return [plan.front(round_, place) for place in places]

    def _rows_of(self, round_: int) -> list[str]:
        """Return the steps that rows of a round, and their contexts, come from."""
        return ["contexts", *(plan.rollouts(number) for number in range(round_ + 1))]

    def _parts_of(self, round_: int) -> list[str]:
        """Return the steps that the parts of the rule of a round come from."""
        parts = [plan.chosen(round_, context) for context in range(len(self.contexts))]
        return parts if len(self.contexts) == 1 else [*parts, plan.decider(round_)]

    def _last(self) -> str:
        """Return the step that the rule to be finished comes from."""
        return "assembled" if self.config.last is None else "refined"

    def _last_decider(self) -> str:
        return plan.decider(self.config.rounds)

    def _limits(self) -> dict[str, Any]:
        config = self.config
        return {"name": config.name, "path": config.most_path, "total": config.most_total}
