"""The laws that every policy here obeys, put to a policy of the user's own.

The laws are the project's tests (`tests/conformance/given.py`); pytest runs them in a process of
its own, so that a policy that crashes or hangs takes nothing with it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from experiments.paths import ROOT
from experiments.problems import InputError

LAWS = "tests/conformance/given.py"
GIVEN = "TRIPTYCH_CONFORM"
"""Names the file to `LAWS`."""
TIMEOUT_S = 900.0
LONGEST_REASON = 400


@dataclass(frozen=True)
class Law:
    """One law put to one policy.

    Attributes:
        policy: its name.
        law: in words.
        kept: whether the policy keeps it.
        why: what happened where it does not.
    """

    policy: str
    law: str
    kept: bool
    why: str = ""


def laws_of(file: Path) -> list[Law]:
    """Return each law and whether the policies in `file` keep it.

    Raises:
        InputError: the file is absent or registers nothing that has laws, it ends the process, or
            the tools that run the laws are not installed.
    """
    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    if importlib.util.find_spec("pytest") is None or importlib.util.find_spec("hypothesis") is None:
        how = "python3 -m experiments.setup venv --extras congestion symbolic --groups test"
        raise InputError(f"conform: the laws are tests, and pytest is not installed; {how}")
    if file.suffix != ".rule":
        print(f"warning: conform runs the code of {file}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "laws.xml"
        done = _pytest(file, report)
        if not report.is_file():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
            raise InputError(f"{file}: its policy ended the process ({last[0]})")
        laws = read(report.read_text(encoding="utf-8"))
    if done.returncode not in (0, 1):
        raise InputError(f"{file}: {_reason(done.stdout)}")
    return laws


def _pytest(file: Path, report: Path) -> subprocess.CompletedProcess[str]:
    options = ("-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit2")
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", LAWS, *options, f"--junitxml={report}"],
            cwd=ROOT,
            env=os.environ | {GIVEN: str(file.absolute())},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{file}: its policy does not end within {TIMEOUT_S:.0f} s") from None


def read(report: str) -> list[Law]:
    """Return the laws in pytest's JUnit report."""
    found = []
    for case in ElementTree.fromstring(report).iter("testcase"):
        wrong = [part for part in case if part.tag in ("failure", "error")]
        why = _shortened(wrong[0].get("message", "")) if wrong else ""
        policy = case.get("classname", "").rpartition(".")[2].removeprefix("Test")
        found.append(Law(policy, _words(case.get("name", "")), not wrong, why))
    return found


def lines_of(laws: Sequence[Law]) -> list[str]:
    """Return what people read: per policy its broken laws, and how many it keeps."""
    lines = []
    for policy in dict.fromkeys(law.policy for law in laws):
        mine = [law for law in laws if law.policy == policy]
        broken = [law for law in mine if not law.kept]
        verdict = "conforms" if not broken else "does not conform"
        lines.append(f"{policy} {verdict}: keeps {len(mine) - len(broken)} of {len(mine)} laws")
        for law in broken:
            lines.append(f"  broken: {law.law}")
            lines += [f"    {line}" for line in law.why.splitlines()]
    return lines


def _words(name: str) -> str:
    """Return a test's name as a sentence."""
    return name.removeprefix("test_").replace("_", " ")


def _shortened(message: str) -> str:
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    return "\n".join(lines)[:LONGEST_REASON]


def _reason(output: str) -> str:
    """Return the line in which `LAWS` says why it has nothing to run."""
    told = re.search(r"^E\s+(?:\S+Error|Failed): (.+)$", output, re.M)
    lines = output.strip().splitlines() or ["it said nothing"]
    return told[1] if told else lines[-1]
