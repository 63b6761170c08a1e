"""The command that distils: files, provenance, and what it says when it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.distill import distil_command
from policies.distill.actors import RuleActor
from policies.distill.contexts import read_contexts
from policies.distill.distil_config import PRESETS
from policies.distill.fronts import read_front
from policies.distill.judge import judge
from policies.distill.storage import digest_of
from policies.rules.count import operations
from policies.rules.parse import read_rule
from policies.rules.syntax import If, Number, walk
from tests.distill.small_distil import WORLD, small


@pytest.fixture(autouse=True)
def presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the presets be small ones."""
    monkeypatch.setitem(PRESETS, "symbolic", lambda **c: replace(small(contexts=1), **c))
    monkeypatch.setitem(PRESETS, "branched", lambda **c: replace(small(), **c))


def words(folder: Path, *more: str) -> list[str]:
    out = ["--out", str(folder / "rules" / "mine.rule")]
    return [*more, "--links", "10", *out, "--work", str(folder / "work")]


def test_an_unbranched_rule_is_written_with_its_provenance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(tmp_path, "symbolic", "--seed", "3")
    assert distil_command.main(given) == 0
    folder = tmp_path / "rules"
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine.front.json",
        "mine.json",
        "mine.rule",
    ]
    rule, told = read_rule(folder / "mine.rule"), json.loads((folder / "mine.json").read_text())
    assert told["sha256"] == digest_of(folder / "mine.rule")
    assert told["command"].startswith("python -m policies.distill.distil_command symbolic --seed 3")
    assert (told["seed"], told["parameters"]["seed"]) == (3, 3)
    assert told["operations"]["worst_path"] == operations(rule).worst_path
    assert told["decider_accuracy"] is None
    assert told["teacher"]["file"] == "teacher_corrected.safetensors"
    judged = judge(RuleActor(rule), WORLD, 10, "test")
    assert told["test"]["share_ratio_of_means"][0] == round(judged.share_ratio().value, 4)
    assert told["teacher_test"]["links"] == 10
    assert "numpy" in told["made_with"]
    assert len(read_front(folder / "mine.front.json")) >= 1
    said = capsys.readouterr().out
    assert "min left" in said
    assert f"wrote {folder / 'mine.rule'}" in said
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert distil_command.main(given) == 0  # from its steps
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_branched_rule_is_written_with_its_decider(tmp_path: Path) -> None:
    given = words(tmp_path, "branched", "--rounds", "0", "--no-refinement")
    assert distil_command.main(given) == 0
    folder = tmp_path / "rules"
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine.contexts.json",
        "mine.json",
        "mine.rule",
        "specialists.rule",
    ]
    told = json.loads((folder / "mine.json").read_text())
    assert told["refinements"] == []
    assert len(told["rounds"]) == 1
    assert 0.0 <= told["decider_accuracy"] <= 1.0
    contexts = read_contexts(folder / "mine.contexts.json")
    assert told["contexts"] == [context.text for context in contexts]
    decider = read_rule(folder / "specialists.rule")
    leaves = [node for node in walk(decider.body) if isinstance(node, Number)]
    assert decider.low == 0.0
    assert decider.high >= 1.0
    assert {leaf.value for leaf in leaves} - {0.0, 1.0} == {
        node.condition.right.value
        for node in walk(decider.body)
        if isinstance(node, If) and isinstance(node.condition.right, Number)
    } - {0.0, 1.0}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--inputs", "loss,los"], "did you mean 'loss'"),
        (["--contexts", "0"], "contexts must be"),
        (["--teacher", "absent.safetensors"], "absent"),
        (["--specialists", "absent"], "absent"),
    ],
)
def test_what_cannot_be_is_one_line(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    assert distil_command.main(words(tmp_path, "symbolic", *more)) == 1
    said = capsys.readouterr().err
    assert said.startswith("policies.distill.distil_command: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "rules").exists()
