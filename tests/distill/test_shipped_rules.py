"""The rules that ship are those that their provenance tells of, and cost what they may."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest

from policies.distill.actors import RuleActor
from policies.distill.assemble import MOST_PATH, MOST_TOTAL, decider_in
from policies.distill.contexts import read_contexts
from policies.distill.decider import Decider
from policies.distill.entrants import BRANCHED_CONTEXTS, CONTEXTS, DECIDER, FRONT, RULES, TEACHER
from policies.distill.fronts import read_front
from policies.distill.judge import judge, summary
from policies.distill.specialists import read_specialists
from policies.distill.storage import digest_of
from policies.distill.trees import Fork, Tree
from policies.distill.weights import read_network
from policies.rules.count import operations
from policies.rules.parse import read_rule
from policies.rules.syntax import Comparison, Expression, If, Number, Variable

DISTILLED = ("symbolic", "symbolic_branched", "linear", "tree")


def told_of(name: str) -> dict[str, Any]:
    return json.loads((RULES / f"{name}.json").read_text())


@pytest.mark.parametrize("name", DISTILLED)
def test_provenance_tells_of_this_rule(name: str) -> None:
    path, told = RULES / f"{name}.rule", told_of(name)
    rule = read_rule(path)
    assert rule.name == name
    assert told["sha256"] == digest_of(path)
    assert told["operations"] == asdict(operations(rule))
    assert told["command"].startswith("python -m policies.distill.distil_command ")
    assert told["teacher"]["sha256"] == digest_of(TEACHER)
    assert told["parameters"]["name"] == name


@pytest.mark.parametrize("name", ["symbolic", "symbolic_branched"])
def test_a_decision_costs_at_most_60_operations_and_a_rule_150(name: str) -> None:
    cost = operations(read_rule(RULES / f"{name}.rule"))
    assert cost.worst_path <= MOST_PATH == 60
    assert cost.total <= MOST_TOTAL == 150


@pytest.mark.parametrize("name", ["symbolic", "symbolic_branched"])
def test_the_shares_that_are_told_are_found_again(name: str) -> None:
    """And the teacher's mean return is kept, on the same 1,000 test links."""
    told, teacher = told_of(name), read_network(TEACHER)
    links = told["test"]["links"]
    assert links >= 200
    found = judge(RuleActor(read_rule(RULES / f"{name}.rule")), teacher.world, links, "test")
    for place, values in summary(found).items():
        assert values == pytest.approx(told["test"][place], abs=2e-4), place
    theirs = judge(teacher, teacher.world, links, "test")
    assert found.reward.mean() > theirs.reward.mean()


def test_specialists_have_the_branched_rules_decider_and_contexts() -> None:
    decider = _decider_of(read_rule(DECIDER).body)
    rule = read_rule(RULES / "symbolic_branched.rule")
    assert decider_in(rule, decider) == decider
    contexts, networks = read_specialists(CONTEXTS.parent)
    assert read_contexts(BRANCHED_CONTEXTS) == contexts
    assert len(networks) == len(contexts) >= decider.branches >= 2
    told = told_of("symbolic_branched")
    known = [digest_of(path) for path in sorted(CONTEXTS.parent.glob("specialist_*.safetensors"))]
    assert [one["sha256"] for one in told["specialists"]] == known


def test_the_front_is_one() -> None:
    """Ever more operations, ever smaller errors."""
    front = read_front(FRONT)
    assert len(front) >= 5
    for fewer, more in pairwise(front):
        assert fewer.operations < more.operations
        assert fewer.error > more.error


def _decider_of(body: Expression) -> Decider:
    def tree(node: Expression) -> Tree:
        match node:
            case Number(value):
                return int(value)
            case If(Comparison("<=", Variable(name), Number(value)), then, otherwise):
                return Fork(name, value, tree(then), tree(otherwise))
        raise AssertionError(f"{node} is no question of a decider")

    return Decider(tree(body))
