"""How much a distillation of an experiment spends, and what networks it starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from policies.distill.contexts import Context
    from policies.distill.distil_config import DistilConfig
    from policies.distill.weights import Network

Effort = Literal["tiny", "small", "full"]
EFFORTS = ("tiny", "small", "full")
FIND_LINKS = 2000
"""Links that contexts are found on where specialists are trained."""
WITHOUT_HISTORY = ("_fast", "_slow", "_change")
"""Ends of the names of inputs that remember more than the last interval."""

Networks: TypeAlias = "tuple[Network, tuple[Context, ...] | None, tuple[Network, ...] | None]"
"""The teacher; contexts if they are given; a specialist for each of them if there are any."""


def settings_of(config: dict[str, Any], seed: int) -> DistilConfig:
    """Return the parameters of the distillation that a run's configuration asks for.

    `tiny` goes through every step in about a second, on episodes of 80 intervals, and its numbers
    mean nothing; `small` takes a minute or so per context; `full` are the distillation's own
    parameters, those of the shipped rules.
    """
    from policies.distill.distil_config import DistilConfig

    settings = replace(
        DistilConfig(),
        name="rule",
        seed=seed,
        contexts=config["contexts"],
        specialists=config["specialists"],
        method=config["method"],
        rounds=config["rounds"],
    )
    if config["effort"] != "full":
        settings = {"tiny": _tiny, "small": _small}[config["effort"]](settings)
    settings = replace(settings, decider_leaves=max(settings.decider_leaves, config["contexts"]))
    if not config["history"]:
        inputs = (name for name in settings.inputs if not name.endswith(WITHOUT_HISTORY))
        settings = replace(settings, inputs=tuple(inputs))
    return settings if config["refine"] else replace(settings, refine=None, last=None)


def _tiny(settings: DistilConfig) -> DistilConfig:
    from policies.distill.distil_config import ChoiceSettings
    from policies.distill.operon import OperonSettings
    from policies.distill.refine import RefineSettings

    world = settings.world
    search = OperonSettings(population=50, evaluations=2000)
    return replace(
        settings,
        world=replace(world, config=replace(world.config, steps=80)),
        explored=80,
        links_per_round=40,
        rows=1000,
        operon=search,
        quick_operon=search,
        choice=ChoiceSettings(16, 4),
        quick_choice=ChoiceSettings(12, 2),
        refine=RefineSettings(1, 4),
        last=RefineSettings(2, 4),
        refine_links=8,
        last_links=8,
        kept_links=12,
        judged_links=12,
    )


def _small(settings: DistilConfig) -> DistilConfig:
    from policies.distill.distil_config import ChoiceSettings
    from policies.distill.operon import OperonSettings
    from policies.distill.refine import RefineSettings

    return replace(
        settings,
        explored=400,
        links_per_round=150,
        rows=5000,
        operon=OperonSettings(evaluations=60_000),
        quick_operon=OperonSettings(evaluations=20_000),
        choice=ChoiceSettings(100, 6),
        quick_choice=ChoiceSettings(50, 4),
        refine=RefineSettings(6, 8),
        last=RefineSettings(8, 10),
        refine_links=40,
        last_links=50,
        kept_links=150,
        judged_links=150,
    )


def networks_of(config: dict[str, Any], seed: int, folder: Path) -> Networks:
    """Return what the distillation starts from: what ships, or what is trained for this run.

    Raises:
        OSError: a shipped file cannot be read.
        ValueError: a shipped file is damaged, or holds other contexts than are asked for.
    """
    if config["networks"] == "trained":
        return _trained(config, seed, folder)
    from policies.distill.entrants import TEACHER, WEIGHTS
    from policies.distill.specialists import read_specialists
    from policies.distill.weights import read_network

    teacher = read_network(TEACHER)
    if config["contexts_from"] == "return":
        return teacher, None, None
    contexts, networks = read_specialists(WEIGHTS)
    return teacher, contexts, networks if config["specialists"] else None


def _trained(config: dict[str, Any], seed: int, folder: Path) -> Networks:
    """Train the teacher and, where their contexts are asked for, the specialists."""
    from policies.distill.contexts import find_contexts
    from policies.distill.judge import judge
    from policies.distill.specialists import train_specialists
    from policies.distill.teacher import train
    from policies.distill.teacher_config import corrected

    training = corrected(seed=seed)
    teacher = train(training, folder / "teacher").network
    if config["contexts_from"] == "return":
        return teacher, None, None
    found = judge(teacher, teacher.world, FIND_LINKS, "train", 1)
    contexts = find_contexts(found.links, found.share, config["contexts"])
    if not config["specialists"]:
        return teacher, contexts, None
    own = train_specialists(contexts, training, folder / "specialists", first=teacher)
    return teacher, contexts, own
