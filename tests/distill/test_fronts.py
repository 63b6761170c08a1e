"""Laws of Pareto fronts, and of their files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distill.fronts import (
    Candidate,
    Front,
    as_rule,
    inputs_of,
    pareto,
    read_front,
    write_front,
)
from policies.registry import UnknownNameError
from policies.rules.syntax import Binary, Expression, Number, RuleError, Unary, Variable

HEAD = "triptych-rule 1\nname"


def costing(operations: int) -> Expression:
    """Return an expression of so many operations."""
    node: Expression = Variable("loss")
    for _ in range(operations):
        node = Unary("tanh", node)
    return node


def candidate(operations: int, error: float) -> Candidate:
    return Candidate(costing(operations), error, operations)


candidates = st.builds(
    candidate, st.integers(0, 12), st.floats(0.0, 1.0) | st.sampled_from((0.0, 0.5))
)


@given(st.lists(candidates, max_size=30))
def test_nothing_beats_a_member_and_a_member_is_as_good_as_anything(given: list[Candidate]) -> None:
    front = pareto(given)
    for member in front:
        assert member in given
        assert not any(
            other.error <= member.error
            and other.operations <= member.operations
            and (other.error, other.operations) != (member.error, member.operations)
            for other in given
        )
    for one in given:
        assert any(m.error <= one.error and m.operations <= one.operations for m in front)
    costs, errors = [m.operations for m in front], [m.error for m in front]
    assert costs == sorted(set(costs))
    assert errors == sorted(set(errors), reverse=True)


@given(st.lists(candidates, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(given: list[Candidate], luck: Any) -> None:
    shuffled = list(given)
    luck.shuffle(shuffled)
    assert pareto(shuffled) == pareto(given)
    assert pareto(pareto(given)) == pareto(given)


def test_a_front_comes_back_from_its_file(tmp_path: Path) -> None:
    rich = Binary("+", Binary("*", Number(0.1), Variable("loss")), Variable("min_rtt_ms"))
    members = [Candidate(Number(0.25), 0.4, 0), candidate(1, 0.3), Candidate(rich, 1e-3, 2)]
    write_front(tmp_path / "front.json", Front(members, 5))
    found = read_front(tmp_path / "front.json")
    assert found == members
    assert found.dropped == 5
    write_front(tmp_path / "again.json", found)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "front.json").read_bytes()
    write_front(tmp_path / "plain.json", members)
    assert read_front(tmp_path / "plain.json").dropped == 0


def told(path: Path) -> dict[str, Any]:
    write_front(path, [candidate(1, 0.3)])
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("error", -1.0, "error must be a number >= 0"),
        ("error", "0.1", "error must be a number >= 0"),
        ("error", True, "error must be a number >= 0"),
        ("error", None, "error must be a number >= 0"),
        ("operations", 3, "3 operations, counted 1"),
        ("operations", 1.0, "1.0 operations"),
        ("operations", True, "True operations"),
        ("rule", 7, "must have rule"),
        ("rule", "tanh(loss)", "first line"),
        (
            "rule",
            "triptych-rule 1\nname c\naction [-1, 1]\ninput loss [0, 2]\ntanh(loss)",
            "bounds",
        ),
        ("rule", "triptych-rule 1\nname c\naction [0, 1]\ninput loss [0, 1]\ntanh(loss)", "bounds"),
        ("rule", "triptych-rule 1\nname c\naction [-1, 1]\ninput lost [0, 1]\ntanh(lost)", "loss"),
    ],
)
def test_a_candidate_of_a_file_is_checked(
    tmp_path: Path, field: str, change: Any, message: str
) -> None:
    content = told(tmp_path / "front.json")
    content["candidates"][0][field] = change
    (tmp_path / "front.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"front\.json: candidate 0.*{message}"):
        read_front(tmp_path / "front.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "is not a front"),
        ('{"schema": 2, "dropped": 0, "candidates": []}', "is not a front"),
        ('{"schema": 1, "dropped": -1, "candidates": []}', "dropped must be"),
        ('{"schema": 1, "dropped": true, "candidates": []}', "dropped must be"),
        ('{"schema": 1, "dropped": 0, "candidates": {}}', "candidates must be a list"),
        ('{"schema": 1, "dropped": 0, "candidates": [3]}', "candidate 0: must have rule"),
        ('{"schema": 1, "dropped": 0, "candidates": [{"rule": "x"}]}', "candidate 0: must have"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "front.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"front\.json: {message}"):
        read_front(tmp_path / "front.json")


def test_too_many_candidates_are_refused(tmp_path: Path) -> None:
    content = told(tmp_path / "front.json")
    content["candidates"] *= 1001
    (tmp_path / "front.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="at most 1000"):
        read_front(tmp_path / "front.json")


@pytest.mark.parametrize("error", [float("nan"), float("inf"), -0.5])
def test_a_candidate_knows_its_error(error: float) -> None:
    with pytest.raises(ValueError, match="error must be a number"):
        candidate(2, error)
    with pytest.raises(ValueError, match="2 operations, counted 3"):
        replace(candidate(3, 0.1), operations=2)


def test_a_rule_declares_what_it_uses_in_the_order_of_the_table() -> None:
    both = Binary("-", Variable("min_rtt_ms"), Variable("loss"))
    rule = as_rule("both", both)
    assert [i.name for i in rule.inputs] == ["loss", "min_rtt_ms"]
    assert (rule.inputs[0].low, rule.inputs[0].high) == (0.0, 1.0)
    assert as_rule("none", Number(0.5)).inputs == inputs_of(Number(0.5))
    gone = Binary("+", Variable("loss"), Binary("*", Number(0.0), Variable("min_rtt_ms")))
    assert [i.name for i in as_rule("gone", gone).inputs] == ["loss"]
    with pytest.raises(UnknownNameError, match="loss"):
        as_rule("other", Variable("losss"))
    with pytest.raises(RuleError, match="may reach"):
        as_rule("big", Binary("*", Number(1e99), Variable("min_rtt_ms")))
