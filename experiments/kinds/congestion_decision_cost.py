"""Run kind `congestion-decision-cost`: what one decision of a policy takes, C against C.

A run times one policy in several forms, and the whole teacher's network in C beside it, all in turn
in one process, on the same states of flows that the teacher steered. Every seed is a repeat with
states of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Config, Outcome, Scalar, register
from experiments.kinds.congestion_rule_file import lacking, resolved_rule
from experiments.setup.packages import PROGRAMS
from policies.distill.entrants import ENTRANTS
from policies.registry import Registry

if TYPE_CHECKING:
    from policies.distill.decision_forms import Form, States
    from policies.distill.entrants import Player
    from policies.distill.weights import Network

SERIES = "samples"
REFERENCE = "teacher_c_native"
FORMS = {
    "c": "as C, -O2, double precision",
    "c_native": "as C, -O3 -march=native, double precision",
    "c_float": "as C, -O3 -march=native with fused multiply-add, single precision; networks only",
    "compiled": "as controllers run it, by numba: a rule on the stack machine, a network by loops",
    "numpy": "as one call of NumPy per decision",
    REFERENCE: "of the whole teacher's network as C, -O3 -march=native, timed in turn with these",
}
"""Form -> what it is."""
SAMPLE_S = 5e-4
"""How long a sample takes at least, about."""
APART = 1e-4
"""How far mean actions of two forms may lie apart: single precision differs in the 7th digit."""


class DecisionCostConfig(Config):
    """Configuration of `congestion-decision-cost`."""

    samples: int = Field(default=60, ge=3, le=10_000, description="Timed samples of each form.")
    states: int = Field(default=1024, ge=1, le=1_000_000, description="To decide on, in turn.")
    links: int = Field(default=32, ge=1, le=10_000, description="That the states come from.")
    rule_file: str | None = Field(
        default=None, max_length=4096, description="Path of the rule that policy rule_file is."
    )


@register("congestion-decision-cost")
class CongestionDecisionCost:
    """Times decisions."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[DecisionCostConfig]] = DecisionCostConfig
    policies: ClassVar[Registry[Any]] = ENTRANTS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        **{
            f"{form}_ns{end}": f"ns; of a decision {what}; {words}"
            for form, what in FORMS.items()
            for end, words in (
                ("", "median over samples; lower is better"),
                ("_low", "lower quartile"),
                ("_high", "upper quartile"),
            )
        },
        "speedup": "1; teacher_c_native_ns / c_native_ns; higher is better",
        "operations": "operations of a decision on the costliest path: of a rule every operator,"
        " function and comparison, of a network every multiplication, addition and tanh",
        "operations_in_all": "operations in the whole rule; of a network the same as operations",
        "multiply_adds": "weights of a network that are not 0; null for a rule",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Put the content of the rule's file in the place of its path.

        Raises:
            ValueError: the file cannot be read, or is no rule.
        """
        return resolved_rule(config)

    @staticmethod
    def other_policies(config: dict[str, Any]) -> list[str]:
        """Return the teacher, which is timed too."""
        del config
        return ["teacher"]

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return the compiler and files of the policy, where they are not there."""
        compiler = PROGRAMS["g++"]
        absent = () if compiler.present else (f"g++ ({compiler.remedy})",)
        return (*absent, *lacking(config))

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Compile, check that all forms decide alike, time them in turn.

        Raises:
            OSError: a file of the policy cannot be read.
            ValueError: such a file is damaged, or the policy is neither a rule nor a network.
            ProgramError: the compiler failed.
            RuntimeError: two forms do not decide alike.
        """
        from policies.distill.decision_forms import COMPILER, dense_native, disagreement
        from policies.distill.entrants import TEACHER, load
        from policies.distill.weights import read_network
        from tuning.compile import toolchain

        player, teacher = load(config["policy"], config.get("rule_text")), read_network(TEACHER)
        with TemporaryDirectory(prefix="decision-cost-") as folder:
            states = _states(teacher, config)
            forms = _forms(player, states, Path(folder) / "own")
            if (apart := disagreement(forms, config["states"])) > APART:
                raise RuntimeError(f"{config['policy']}: mean actions lie {apart:.3g} apart")
            forms[REFERENCE] = dense_native(teacher, states, Path(folder) / "teacher")
            taken = _times(forms, config["samples"])
        rows = [(form, ns) for form, samples in taken.items() for ns in samples]
        columns = {"form": [form for form, _ in rows], "ns": [ns for _, ns in rows]}
        metrics = _metrics(taken) | _counted(player)
        return Outcome(metrics, {SERIES: columns}, [toolchain(COMPILER)])


def _states(teacher: Network, config: dict[str, Any]) -> States:
    from policies.distill.decision_forms import states_of
    from policies.distill.worlds import seeds_of

    seed = int(config["seed"])
    seeds = seeds_of("test", seed, config["links"])
    return states_of(teacher, teacher.world, seeds, config["states"], seed)


def _forms(player: Player, states: States, folder: Path) -> dict[str, Form]:
    from policies.distill.branches import Branches
    from policies.distill.decision_forms import network_forms, rule_forms
    from policies.rules.rule import Rule

    if isinstance(player, Rule):
        return rule_forms(player, states, folder)
    if isinstance(player, Branches):
        raise ValueError("decision cost: is of one rule or one network, not of several")
    return network_forms(player, states, folder)


def _times(forms: Mapping[str, Form], samples: int) -> dict[str, list[float]]:
    """Return ns of a decision per sample of each form."""
    import time

    from experiments.kinds.tuning_bench import interleaved

    counts, calls = {}, {}
    for name, form in forms.items():
        form(64)  # compiles what is compiled at the first call
        start = time.perf_counter()
        form(64)
        once_s = (time.perf_counter() - start) / 64
        counts[name] = max(1, round(SAMPLE_S / once_s))
        calls[name] = lambda form=form, count=counts[name]: form(count)
    taken = interleaved(calls, samples, least_s=SAMPLE_S / 2)
    return {name: [ns / counts[name] for ns in values] for name, values in taken.items()}


def _metrics(taken: Mapping[str, Sequence[float]]) -> dict[str, Scalar]:
    import numpy as np

    metrics: dict[str, Scalar] = {}
    for form in FORMS:
        ends: list[Any] = [None] * 3
        if form in taken:
            ends = [float(value) for value in np.percentile(taken[form], (50, 25, 75))]
        for end, value in zip(("", "_low", "_high"), ends, strict=True):
            metrics[f"{form}_ns{end}"] = value
    own, theirs = (float(np.median(taken[form])) for form in ("c_native", REFERENCE))
    return {**metrics, "speedup": theirs / own}


def _counted(player: Any) -> dict[str, Scalar]:
    from policies.congestion.pruning import multiply_adds
    from policies.rules.count import operations
    from policies.rules.rule import Rule

    if isinstance(player, Rule):
        cost = operations(player)
        return {
            "operations": cost.worst_path,
            "operations_in_all": cost.total,
            "multiply_adds": None,
        }
    weights = multiply_adds(player.tensors)
    count = 2 * weights + sum(player.sizes[1:-1])
    return {"operations": count, "operations_in_all": count, "multiply_adds": weights}
