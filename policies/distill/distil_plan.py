"""The steps of a distillation by name, in their order, and how long they should take on two cores.

What the time goes into with the defaults and four contexts (an episode of 400 intervals takes
1/300 s):

- roll-outs: 1,000 links to find contexts, 3 x 300 to learn from, 300 to judge the decider; and the
  rules of 3 rounds, each with 3 deciders first, on 300 links each: 5,800 episodes, 20 s;
- regressions, for each context and for all together 2 x 60,000 and 300,000 evaluations of trees:
  5 x 93 s;
- choice, of two fronts of about 12: twice 24 x 25 + 6 x 100 episodes and then 24 x 50 + 12 x 200,
  for each context: 4 x 20 s;
- refinement of branches, for each 20 x 12 candidates on 100 links, and 4 on 300 that are kept:
  4 x 84 s;
- refinement of the whole: 30 x 14 candidates on 150 links, 4 on 300 that are kept: 214 s.

Together 19 minutes; an unbranched rule takes 5 1/2.
"""

from __future__ import annotations

from policies.distill.choice import FIRST_LOOK
from policies.distill.distil_config import ChoiceSettings, DistilConfig
from policies.distill.refine import FINALISTS, RefineSettings

STEPS_PER_S = 120_000
"""Intervals of links, with rules that decide."""
EVALUATIONS_PER_S = 4_500
"""Trees of a search, on 7,500 rows."""
FRONT = 12
"""Members of a front, about."""
SHORT_S = 1.0
"""What takes next to nothing."""


def expected_seconds(config: DistilConfig, contexts: int, to_find: bool = True) -> dict[str, float]:
    """Return name -> seconds of every step, in their order.

    Args:
        config: of the distillation.
        contexts: how many there are; they may be fewer than were asked for.
        to_find: whether they are found from the teacher's return, if there are several.
    """
    episode = config.world.config.steps / STEPS_PER_S
    explores = to_find and config.contexts > 1
    plan = {"exploration": config.explored * episode} if explores else {}
    plan |= {"contexts": SHORT_S, rollouts(0): config.links_per_round * episode}
    for round_ in range(config.rounds + 1):
        quick = round_ < config.rounds
        choice = config.quick_choice if quick else config.choice
        fronts = contexts + 1 if contexts > 1 else 1
        for place in range(fronts):
            plan[front(round_, place)] = _regression(config, quick)
        if contexts > 1:
            plan |= {candidate(round_, place): SHORT_S for place in range(len(config.balances))}
        for context in range(contexts):
            plan[chosen(round_, context)] = _choice(choice, contexts > 1) * episode
        if contexts > 1:
            plan[decider(round_)] = len(config.balances) * config.judged_links * episode
        plan[judged(round_)] = config.judged_links * episode
        if quick:
            plan[rollouts(round_ + 1)] = config.links_per_round * episode
    if config.refine and contexts > 1:
        for context in range(contexts):
            plan[branch(context)] = _search(config.refine, config.refine_links, config) * episode
    plan["assembled"] = SHORT_S
    if config.last:
        plan["refined"] = _search(config.last, config.last_links, config) * episode
    plan["rule"] = SHORT_S
    if contexts > 1:
        plan |= {"decider": SHORT_S, "accuracy": config.judged_links * episode}
    return plan


def rollouts(round_: int) -> str:
    """Return the name of the step that collects the rows for a round."""
    return f"rollouts-{round_}"


def front(round_: int, place: int) -> str:
    """Return the name of the step that makes the front of a context; after the last, of all."""
    return f"front-{round_}-{place}"


def candidate(round_: int, balance: int) -> str:
    """Return the name of the step that fits a decider with one of the balances."""
    return f"decider-{round_}-{balance}"


def decider(round_: int) -> str:
    """Return the name of the step that takes one of the deciders of a round."""
    return f"decider-{round_}"


def chosen(round_: int, context: int) -> str:
    """Return the name of the step that chooses a member of a front."""
    return f"choice-{round_}-{context}"


def judged(round_: int) -> str:
    """Return the name of the step that assembles and judges the rule of a round."""
    return f"round-{round_}"


def branch(context: int) -> str:
    """Return the name of the step that refines a branch."""
    return f"branch-{context}"


def _regression(config: DistilConfig, quick: bool) -> float:
    if config.method == "operon":
        settings = config.quick_operon if quick else config.operon
        return settings.evaluations * settings.runs / EVALUATIONS_PER_S
    if config.method == "pysr":
        return 6.0 * (config.quick_pysr if quick else config.pysr).iterations
    return SHORT_S


def _choice(settings: ChoiceSettings, common: bool) -> float:
    """Return how many episodes a choice takes; `common`: from two fronts."""
    members = 2 * FRONT if common else FRONT
    if settings.shortlist >= members:
        return members * settings.links
    return members * settings.links / FIRST_LOOK + settings.shortlist * settings.links


def _search(settings: RefineSettings, links: int, config: DistilConfig) -> float:
    """Return how many episodes a refinement takes."""
    tried = settings.generations * settings.population * links
    return tried + (FINALISTS + 1) * config.kept_links
