"""PySR where Julia is; what is said where it is not."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.distill import pysr
from policies.distill.fronts import Front
from policies.distill.pysr import JuliaMissingError, PysrSettings, check_julia, pysr_front
from policies.rules.write import expression_text
from tests.distill.made_rows import NAMES, clipped_law, rows
from tests.distill.test_regression import BAD_ROWS, broken
from tests.needs import need

TABLE, LINKS = rows(300)
ACTIONS = clipped_law(TABLE)


def test_without_julia_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in pysr.JULIA:
        monkeypatch.setenv(name, "")
    with pytest.raises(JuliaMissingError, match=r"install Julia .* or use PyOperon"):
        pysr_front(TABLE, NAMES, ACTIONS, PysrSettings(), 0, LINKS)
    monkeypatch.setenv(pysr.JULIA[0], str(tmp_path / "gone"))
    with pytest.raises(JuliaMissingError, match="needs Julia"):
        check_julia()


def test_without_pysr_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    julia = tmp_path / "julia"
    julia.write_text("#!/bin/sh\n", encoding="utf-8")
    julia.chmod(0o755)
    monkeypatch.setenv(pysr.JULIA[1], str(julia))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(JuliaMissingError, match=r"PySR is not installed: .*--extras symbolic"):
        check_julia()


def front(monkeypatch: pytest.MonkeyPatch, equations: list[str], **changes: Any) -> Front:
    """Return the front that PySR's equations would make."""
    seen: list[np.ndarray] = []

    def search(table: np.ndarray, actions: np.ndarray, *_: Any) -> list[str]:
        seen.append(table)
        assert len(table) == len(actions) < len(TABLE)
        return equations

    monkeypatch.setattr(pysr, "check_julia", lambda: None)
    monkeypatch.setattr(pysr, "search", search)
    found = pysr_front(TABLE, NAMES, ACTIONS, PysrSettings(**changes), 0, LINKS)
    assert seen[0].std(axis=0) == pytest.approx(np.ones(4))
    return found


def test_equations_become_a_front_in_the_units_of_the_inputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    equations = ["0.1", "x0 * 0.9", "x9", "x0 * 0.9 - (x1 * 0.1 + 0.45)", "cos(x1)", "x0 * x0 * x0"]
    found = front(monkeypatch, equations)
    assert found.dropped == 2
    assert [one.operations for one in found] == sorted({one.operations for one in found})
    texts = [expression_text(one.expression) for one in found]
    assert all("latency_inflation" in text for text in texts[1:])
    errors = [one.error for one in found]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * float(np.var(ACTIONS))


def test_scaling_alone_leaves_products_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    centred = front(monkeypatch, ["x0 * x1 * 0.1"], centre=True)
    scaled = front(monkeypatch, ["x0 * x1 * 0.1"])
    assert (centred[0].operations, scaled[0].operations) == (4, 2)


@pytest.mark.parametrize("change", [*BAD_ROWS, "one link", "constant columns"])
def test_bad_rows_are_refused_before_julia_is_looked_for(change: str) -> None:
    table, names, actions, links = broken(change)
    other = {"one link": "none can be held out", "constant columns": "every column is constant"}
    with pytest.raises(ValueError, match=(BAD_ROWS | other)[change]):
        pysr_front(table, names, actions, PysrSettings(), 0, links)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"binary": ("+", "mod")}, "binary has 'mod'"),
        ({"binary": ()}, "operators in binary must be"),
        ({"unary": ("erfc",)}, "unary has 'erfc'"),
        ({"iterations": 0}, "iterations must be"),
        ({"population": 3}, "population must be"),
        ({"most_size": 5}, "most_size must be"),
        ({"parsimony": -1.0}, "parsimony must be"),
        ({"held_out": 1.0}, "held_out must be"),
        ({"centre": 1}, "centre must be true or false"),
        ({"digits": 0}, "digits must be"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"PysrSettings: {message}"):
        PysrSettings(**changes).check()


@pytest.mark.extensive
def test_a_law_is_found_by_pysr_and_found_again() -> None:
    need("julia")
    settings = PysrSettings(iterations=10, populations=6)
    found = pysr_front(TABLE, NAMES, ACTIONS, settings, 1, LINKS)
    assert found[-1].error < 1e-3 * float(np.var(ACTIONS))
    assert pysr_front(TABLE, NAMES, ACTIONS, settings, 1, LINKS) == found


def test_what_is_asked_of_pysr_exists() -> None:
    """Read from its source: importing it without Julia would fetch one."""
    spec = importlib.util.find_spec("pysr")
    if spec is None:
        need("julia")  # who has Julia can have PySR
    assert spec is not None
    assert spec.origin is not None
    source = (Path(spec.origin).parent / "sr.py").read_text(encoding="utf-8")
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    regressor = next(node for node in classes if node.name == "PySRRegressor")
    init = next(n for n in regressor.body if getattr(n, "name", "") == "__init__")
    assert isinstance(init, ast.FunctionDef)
    known = {argument.arg for argument in (*init.args.args, *init.args.kwonlyargs)}
    ours = ast.parse(Path(pysr.__file__).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(ours) if isinstance(node, ast.Call)]
    call = next(node for node in calls if getattr(node.func, "id", "") == "PySRRegressor")
    assert {str(keyword.arg) for keyword in call.keywords} <= known
