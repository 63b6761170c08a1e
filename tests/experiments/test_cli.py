"""The command line: results on stdout, progress on stderr, exit code 0, 1 or 2, no traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments import cli
from experiments.catalog import entries
from experiments.check import load_manifest
from experiments.manifest import Manifest
from experiments.paths import results_root
from experiments.plan import make_plan
from experiments.store import Store
from experiments.worker import Task, execute
from tests.experiments.harness import PLUGIN, sweep, write_manifest

COMPARED = {
    "kind": "compared",
    "policies": ["arrival", "shuffled"],
    "metrics": ["score"],
    "seeds": 3,
}


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


Command = Callable[..., Said]


@pytest.fixture
def triptych(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that gives the command line its arguments, in this process."""

    def command(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["triptych", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code: Any = 0
        except SystemExit as end:
            code = end.code
        said = Said(code or 0, *capsys.readouterr())
        assert "Traceback" not in said.err
        return said

    return command


def test_a_run_puts_results_on_stdout_and_progress_on_stderr(tmp_path: Path) -> None:
    """In a process of its own, and with nothing to do the second time."""
    mine = sweep(tmp_path, seeds=3)
    first = mine.run("--serial", "--json")
    assert first.returncode == 0
    assert json.loads(first.stdout) == {"schema": 1, "done": 3, "failed": {}, "claims": []}
    assert "3 runs to do" in first.stderr
    assert "warning: --plugin runs the code of" in first.stderr
    table = mine.table()
    second = mine.run("--serial")
    assert second.returncode == 0
    assert second.stdout.startswith("mine/sweep (quick): 3/3 runs\n")
    assert mine.table() == table


def test_failed_runs_are_exit_code_1(tmp_path: Path, triptych: Command) -> None:
    path = write_manifest(tmp_path, kind="faulty", base={"fault": "raise"})
    said = triptych("run", path, "--serial")
    assert said.code == 1
    assert "RuntimeError: as asked" in said.out
    assert triptych("run", path, "--serial", "--json").json["failed"]


@pytest.mark.parametrize("json_", [True, False])
def test_dry_run_computes_nothing(tmp_path: Path, triptych: Command, json_: bool) -> None:
    path = write_manifest(tmp_path, seeds=4)
    said = triptych("run", path, "--dry-run", *["--json"] * json_)
    assert said.code == 0
    assert not results_root().exists()
    if json_:
        (row,) = said.json["experiments"]
        assert (row["id"], row["planned"], row["todo"]) == ("mine/sweep", 4, 4)
    else:
        assert said.out.startswith("mine/sweep (quick): 4 of 4 runs to do")


def test_dry_run_counts_what_is_missing(tmp_path: Path, triptych: Command) -> None:
    path = write_manifest(tmp_path, seeds=4)
    spec = make_plan(load_manifest(path), "quick").runs[1]
    assert execute(Task(spec, results_root())).status == "done"
    assert triptych("run", path, "--dry-run", "--json").json["experiments"][0]["todo"] == 3
    only = triptych("run", path, "--dry-run", "--json", "--only", spec.id[:10])
    assert only.json["experiments"][0]["todo"] == 0


def test_overrides_reach_the_plan(tmp_path: Path, triptych: Command) -> None:
    path = write_manifest(tmp_path, axes=[{"grid": {"x": [1.0]}}])
    said = triptych(
        "run", path, "--dry-run", "--json", "-s", "x=1,2,3", "-s", "label=a,b", "-s", "seeds=0,1"
    )
    assert said.json["experiments"][0]["planned"] == 12


BAD = {
    "no such file": (["run", "absent.yaml"], "cannot be read"),
    "a folder": (["run", "."], "cannot be read"),
    "no such experiment": (["list", "nothing-like-it"], "no experiment matches"),
    "unknown command": (["lisst"], "lisst"),
    "unknown option": (["list", "--jsom"], "--json"),
    "unknown size": (["list", "--size", "quik"], "quick"),
    "bad override": (["run", "MANIFEST", "-s", "y=1"], "no such field"),
    "override without value": (["run", "MANIFEST", "-s", "x"], "axis=value"),
    "override of no seeds": (["run", "MANIFEST", "--dry-run", "-s", "seeds=[]"], "at least one"),
    "unknown run": (["run", "MANIFEST", "--dry-run", "--only", "zz"], "--only zz"),
    "no workers": (["run", "MANIFEST", "--workers", "0"], "workers"),
    "absent plug-in": (["run", "MANIFEST", "--plugin", "absent.py"], "absent.py"),
    "plug-in of another kind": (["run", "MANIFEST", "--plugin", "MANIFEST"], "--plugin"),
    "compare what compares nothing": (["compare", "MANIFEST"], "fewer than two policies"),
    "missing argument": (["run"], "manifest"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_exit_code_2_and_one_message_on_stderr(
    tmp_path: Path, triptych: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, message = BAD[name]
    path = write_manifest(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    said = triptych(*[path if a == "MANIFEST" else a for a in arguments])
    assert said.code == 2
    assert said.out == ""
    assert message in said.err


def test_nearest_name_of_an_experiment(triptych: Command) -> None:
    name = entries()[0].id
    said = triptych("status", name[:-1] + "x")
    assert said.code == 2
    assert f"did you mean {name!r}" in said.err


def test_every_fault_of_a_manifest_is_a_line_on_stderr(tmp_path: Path, triptych: Command) -> None:
    path = write_manifest(tmp_path, panel="servin", titel="x", seeds=0.5, metrics=[])
    said = triptych("run", path)
    assert said.code == 2
    lines = said.err.strip().splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    fields = {line.split(": ")[1] for line in lines}
    assert fields == {"panel", "titel", "seeds", "metrics"}


def test_list_names_every_experiment(triptych: Command) -> None:
    found = triptych("list", "--json").json
    assert found["schema"] == 1
    assert [e["id"] for e in found["experiments"]] == [e.id for e in entries()]
    assert {e["state"] for e in found["experiments"]} == {"never"}
    plain = triptych("list")
    assert plain.code == 0
    assert all(entry.id.split("/")[1] in plain.out for entry in entries())


def test_claims_before_any_run_are_not_run(triptych: Command) -> None:
    found = triptych("claims", "--json").json["claims"]
    assert sorted(c["id"] for c in found) == sorted(c for e in entries() for c in e.claims)
    assert {c["verdict"] for c in found} <= {"not_run", "needs_hardware", "unconfirmed"}
    assert all(c["value"] is None and c["n"] == 0 and c["run_ids"] == [] for c in found)
    assert triptych("claims").code == 0


def test_status_before_any_run(triptych: Command) -> None:
    rows = triptych("status", "--json").json["experiments"]
    assert [row["id"] for row in rows] == [entry.id for entry in entries()]
    assert all(row["done"] == 0 and row["planned"] > 0 for row in rows)
    assert triptych("status").code == 0


def test_compare_puts_policies_side_by_side(tmp_path: Path, triptych: Command) -> None:
    path = write_manifest(tmp_path, **COMPARED)
    for spec in make_plan(load_manifest(path), "quick").runs:
        assert execute(Task(spec, results_root())).status == "done"
    score, cost = triptych("compare", path, "--json").json["rows"]
    assert list(score) == ["metric", "a", "b", "pairs", "diff", "ci_low", "ci_high", "winner"]
    assert (score["metric"], score["a"], score["b"]) == ("score", "shuffled", "arrival")
    assert (score["pairs"], score["winner"]) == (3, "shuffled")
    assert (cost["diff"], cost["winner"]) == (0, None)  # equal luck: no difference
    assert "shuffled" in triptych("compare", path).out
    assert triptych("compare", path, "--metric", "scor").code == 2
    assert triptych("compare", path, "--baseline", "nobody").code == 2


def test_schema_is_that_of_manifests(triptych: Command) -> None:
    assert triptych("schema").json == Manifest.model_json_schema()


def test_clean_says_what_would_go_and_takes_only_leftovers_unasked(triptych: Command) -> None:
    store = Store(results_root())
    store.put_failure("ab" * 32, {"reason": "x"})
    assert triptych("clean", "--json").json == {"schema": 1, "removed": 0, "done": False}
    assert store.failures()
    assert triptych("clean", "--yes").code == 0
    assert not store.failures()


def test_help_of_every_command(triptych: Command) -> None:
    said = triptych("--help")
    assert said.code == 0
    for command in (
        "list",
        "reproduce",
        "run",
        "status",
        "compare",
        "claims",
        "report",
        "doctor",
        "clean",
    ):
        assert command in said.out
        assert triptych(command, "--help").code == 0


def test_help_and_list_import_nothing_heavy(tmp_path: Path) -> None:
    """They answer at once: no numerical, drawing or learning library is loaded."""
    import subprocess

    heavy = [
        "torch",
        "tvm",
        "pyoperon",
        "scipy",
        "matplotlib",
        "numba",
        "pandas",
        "duckdb",
        "pyarrow",
        "distributed",
    ]
    code = (
        "import sys; from experiments import cli\n"
        "sys.argv = ['triptych', *sys.argv[1:]]\n"
        "try:\n cli.main()\nexcept SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    mine = sweep(tmp_path)
    for arguments in (["--help"], ["list", "--json"], ["list", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=Path(cli.__file__).parents[1],
            env=mine.environment(),
            capture_output=True,
            text=True,
        )
        loaded = done.stderr.strip().splitlines()[-1]
    assert loaded == "[]"
    assert PLUGIN.exists()
