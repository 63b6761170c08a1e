"""`triptych conform`: examples keep all laws, each way of breaking one is told by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.laws import Law, laws_of, lines_of, read
from experiments.paths import ROOT
from experiments.problems import InputError

EXAMPLES = ROOT / "docs" / "examples"
ORDER = """
import numpy as np
from policies.ordering.base import OneEnded, register

@register("mine")
class Mine:
    needs_estimates = False

    def plan(self, view, rng):
        n = len(view.pool.prompt_tokens)
        {body}
"""
CONTROLLER = '''
from policies.congestion.base import CWND, PACING_BPS, Controller, register
from policies.congestion.hooks import hook

@hook
def init(state, flow, constants):
    state[CWND] = 10.0
    state[PACING_BPS] = float("inf")

@hook
def on_loss(state, loss, constants):
    {body}

@register("mine")
class Mine(Controller):
    """Mine."""

    init = init
    on_loss = on_loss
'''
SEARCH = '''
from policies.search.base import register
from tuning.space import best_of

@register("mine")
class Mine:
    """Mine."""

    engine = "templates"

    def search(self, operator, space, measure, budget, luck):
        """Search."""
        {body}
'''
BROKEN = {
    "an order that loses a request": (
        ORDER.format(body="return OneEnded(np.arange(n)[:-1])"),
        "every request is admitted once",
    ),
    "an order that reads what it does not declare": (
        ORDER.format(
            body="return OneEnded(np.roll(np.arange(n), view.estimated_output_tokens.sum() > 999))"
        ),
        "estimates matter only where declared",
    ),
    "a controller whose window closes": (
        CONTROLLER.format(body="state[CWND] -= 1.0"),
        "no sequence of events leads out of range",
    ),
    "a controller that writes where it may not": (
        CONTROLLER.format(body="loss[0] = 0.0"),
        "no sequence of events leads out of range",
    ),
    "a search that spends more than its budget": (
        SEARCH.format(body="return best_of(measure(space.candidates(operator)))"),
        "the laws",
    ),
}
REFUSED = {
    "nothing registered": ("x = 1\n", "registers no policy"),
    "an error": ("raise RuntimeError('mine')\n", "mine"),
    "not Python": ("def\n", "invalid syntax"),
    "it ends the process": ("import os\nos._exit(0)\n", "ended the process"),
}


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.extensive
@pytest.mark.parametrize(
    "name", ["shortest_prompt.py", "half.py", "rule_mine.py", "mine.rule", "coarse_to_fine.py"]
)
def test_the_examples_conform(name: str) -> None:
    laws = laws_of(EXAMPLES / name)
    assert len(laws) >= 9
    assert [law for law in laws if not law.kept] == []
    assert {law.policy for law in laws} == {Path(name).stem}


@pytest.mark.extensive
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_law_is_named_with_what_happened(case: str, tmp_path: Path) -> None:
    text, law = BROKEN[case]
    broken = [found for found in laws_of(written(tmp_path, text)) if not found.kept]
    assert any(found.law.startswith(law) and found.why for found in broken), broken
    assert "mine does not conform" in lines_of(broken)[0]


@pytest.mark.extensive
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_judged_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    text, reason = REFUSED[case]
    with pytest.raises(InputError, match=reason):
        laws_of(written(tmp_path, text))


@pytest.mark.extensive
def test_a_policy_that_does_not_end_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.laws.TIMEOUT_S", 0.5)
    with pytest.raises(InputError, match="does not end within"):
        laws_of(written(tmp_path, "import time\ntime.sleep(600)\n"))


def test_an_absent_file_and_a_bad_rule_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        laws_of(tmp_path / "absent.py")
    with pytest.raises(InputError, match="no_such_input"):
        laws_of(written(tmp_path, RULE.format(name="no_such_input"), "mine.rule"))


RULE = "triptych-rule 1\nname mine\naction [-1, 1]\ninput {name} [0, 1]\n\n0.5 * {name}\n"


@pytest.mark.extensive
def test_the_command_warns_and_ends_with_1_where_a_law_is_broken(tmp_path: Path) -> None:
    path = written(tmp_path, BROKEN["an order that loses a request"][0])
    command = [sys.executable, "-m", "experiments.cli", "conform", str(path), "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert f"warning: conform runs the code of {path}" in done.stderr
    laws = json.loads(done.stdout)["laws"]
    assert {law["policy"] for law in laws} == {"mine"}
    assert any(not law["kept"] and law["why"] for law in laws)


def test_a_report_becomes_laws() -> None:
    report = """<testsuites><testsuite>
    <testcase classname="a.given.Testx" name="test_it_does_this"/>
    <testcase classname="a.given.Testx" name="test_and_that[one]"><failure message="no
    such">trace</failure></testcase></testsuite></testsuites>"""
    assert read(report) == [
        Law("x", "it does this", True),
        Law("x", "and that[one]", False, "no     such"),
    ]
    assert lines_of(read(report))[:2] == [
        "x does not conform: keeps 1 of 2 laws",
        "  broken: and that[one]",
    ]
