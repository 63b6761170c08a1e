"""Entrants: names that are known, files that are there or not, and actors that act."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.fingerprint import closure
from policies.congestion.base import CONTROLLERS
from policies.congestion.pruning import multiply_adds
from policies.distill import entrants
from policies.distill.branches import Branches
from policies.distill.contexts import Context
from policies.distill.entrants import ENTRANTS, RULES, actor_of, load
from policies.distill.judge import judge_on
from policies.distill.teacher_config import corrected_links
from policies.distill.weights import Network
from policies.distill.worlds import CORRECTED, World, seeds_of
from policies.registry import UnknownNameError
from policies.rules.parse import RuleError, read_rule
from policies.rules.rule import Rule
from policies.rules.syntax import Number
from policies.rules.write import text_of

WORLD = World(CORRECTED, corrected_links(steps=10))
HERE = [name for name in ENTRANTS.names() if name != "rule_file" and not ENTRANTS.get(name).lacks()]
"""Those whose files are in this checkout."""
ZERO = Number(0)


def test_the_registry_holds_these_and_nothing_else() -> None:
    assert ENTRANTS.names() == sorted(
        [
            *("rule_file", "rule_gentle", "rule_linear", "rule_tree"),
            *("specialists", "symbolic", "symbolic_branched"),
            *("teacher", "teacher_pruned_50", "teacher_pruned_80", "teacher_pruned_90"),
        ]
    )
    assert set(ENTRANTS.paths().values()) == {Path(entrants.__file__)}
    assert {"teacher", "teacher_pruned_90", "rule_gentle"} <= set(HERE)


def test_naming_them_loads_nothing_heavy() -> None:
    source = Path(entrants.__file__).read_text(encoding="utf-8")
    head = source[: source.index("class Entrant")]
    outside = [line for line in head.splitlines() if line.startswith(("import", "from"))]
    assert all(word not in line for line in outside for word in ("numpy", "numba", "judge"))


@pytest.mark.parametrize("name", HERE)
def test_everyone_whose_files_are_there_acts(name: str) -> None:
    judged = judge_on(actor_of(load(name)), WORLD, seeds_of("train", 0, 3))
    assert np.isfinite(judged.reward).all()


@pytest.mark.parametrize(("share", "left"), [(50, 744), (80, 298), (90, 149)])
def test_pruned_teachers_have_as_many_weights_as_the_papers_networks(share: int, left: int) -> None:
    network, teacher = load(f"teacher_pruned_{share}"), load("teacher")
    assert isinstance(network, Network)
    assert isinstance(teacher, Network)
    assert multiply_adds(network.tensors) == left
    assert multiply_adds(teacher.tensors) == 1488
    assert network.world == teacher.world


def test_a_rule_is_the_one_of_the_controller_of_that_name() -> None:
    assert load("rule_gentle") == CONTROLLERS.get("rule_gentle").rule


def test_a_rule_file_is_read_from_its_text() -> None:
    rule = read_rule(RULES / "gentle.rule")
    assert load("rule_file", text_of(rule)) == rule
    with pytest.raises(ValueError, match="name the rule's file"):
        load("rule_file")
    with pytest.raises(RuleError, match="rule_file:1:1: the first line"):
        load("rule_file", "import os")


def test_unknown_names_are_one_message() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'symbolic'"):
        load("simbolic")


def test_who_has_no_decider_says_so() -> None:
    with pytest.raises(ValueError, match="Teacher: has no decider; those that have one: spec"):
        ENTRANTS.get("teacher").branches()


def test_what_is_absent_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(entrants.Symbolic, "files", (tmp_path / "symbolic.rule",))
    assert ENTRANTS.get("symbolic").lacks() == (
        "symbolic.rule (python -m policies.distill.distil_command symbolic)",
    )
    with pytest.raises(OSError, match=r"symbolic\.rule"):
        load("symbolic")


def test_branches_are_decided_between() -> None:
    rule = read_rule(RULES / "gentle.rule")
    still = Rule("still", -1, 1, rule.inputs, ZERO)
    decider = Rule("zero", 0, 1, rule.inputs, ZERO)
    both = Branches(decider, (rule, still), (0, 1), _halves())
    seeds = seeds_of("train", 0, 4)
    found, alone = (judge_on(actor_of(one), WORLD, seeds) for one in (both, rule))
    assert (found.reward == alone.reward).all()


def test_files_that_ship_are_part_of_a_runs_fingerprint() -> None:
    found = {path.name for path in closure([Path(entrants.__file__)])}
    assert {"gentle.rule", "teacher_corrected.safetensors", "teacher_corrected.json"} <= found


def _halves() -> tuple[Context, Context]:
    inf = float("inf")
    cut = "loss_probability"
    return Context({cut: (-inf, 0.05)}), Context({cut: (0.05, inf)})
