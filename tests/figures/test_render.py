"""Figures to files: bytes repeat, and what is missing is said."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments import paths
from experiments.figures import sweep
from experiments.figures.render import inline_svg, render
from experiments.figures.style import INK
from experiments.manifest import Manifest
from experiments.tables import Results
from tests.figures.synthetic import manifest, mixes, only, results_of

FIGURES = [manifest(), mixes(), manifest("mine/sweep", panel="tuning")]


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """Return all runs of every figure, by the experiment's id."""
    return {m.id: results_of(m, tmp_path_factory.mktemp("store")) for m in FIGURES}


@pytest.fixture(params=[m.id for m in FIGURES])
def results(request: pytest.FixtureRequest, complete: dict[str, Results]) -> Results:
    return complete[request.param]


def digests(made: Manifest, home: Path) -> list[str]:
    drawn = render(results_of(made, home / "store"), home / "out")
    assert drawn.problem == ""
    files = [f for f in (drawn.svg, drawn.png, drawn.csv) if f is not None]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def test_every_figure_draws_and_its_bytes_repeat(results: Results, tmp_path: Path) -> None:
    one, two = (render(replace(results), tmp_path / name) for name in ("a", "b"))
    for suffix in ("svg", "png", "csv"):
        first, second = getattr(one, suffix), getattr(two, suffix)
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.extensive
def test_bytes_are_the_same_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.figures import test_render as t;"
        "print(*t.digests(t.FIGURES[0], Path(sys.argv[1])))"
    )
    found = set()
    for seed in ("1", "77"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_the_caption_states_size_seeds_and_origin(
    complete: dict[str, Results], tmp_path: Path
) -> None:
    drawn = render(complete["blendserve/orders-mooncake"], tmp_path)
    assert drawn.caption == (
        "blendserve/orders-mooncake, size quick · 45 runs, seeds 0, 1, 2 · simulated"
    )
    assert drawn.missing == ()
    assert drawn.svg == tmp_path / "blendserve" / "orders-mooncake.svg"


def test_no_run_at_all_is_no_failure(results: Results, tmp_path: Path) -> None:
    drawn = render(only(results, lambda spec: False), tmp_path)
    planned = len(results.plan.runs)
    assert drawn.problem == ""
    assert drawn.missing[0] == f"{planned} of {planned} runs"
    assert "policy blendserve" in drawn.caption


@pytest.mark.parametrize("absent", ["arrival", "prefix_dfs", "blendserve"])
def test_a_missing_policy_is_said(results: Results, absent: str, tmp_path: Path) -> None:
    drawn = render(only(results, lambda spec: spec.config["policy"] != absent), tmp_path)
    assert drawn.problem == ""
    assert f"policy {absent}" in drawn.missing


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_single_run_is_enough(results: Results, place: int, tmp_path: Path) -> None:
    wanted = results.plan.runs[place].id
    assert render(only(results, lambda spec: spec.id == wanted), tmp_path).problem == ""


def test_points_hold_the_bars_and_the_papers_values(
    complete: dict[str, Results], tmp_path: Path
) -> None:
    drawn = render(complete["blendserve/orders-mixes"], tmp_path)
    assert drawn.csv is not None
    points = pd.read_csv(drawn.csv)
    paper = points[points["group"] == "paper (printed)"]
    assert paper["mean"].tolist() == [1.2084, 0.8655, 0.85]
    gains = points[(points["panel"] == "gain") & (points["policy"] == "prefix_dfs")]
    assert gains["mean"].tolist() == [1.0] * 5


def test_a_figure_that_raises_is_one_message(
    complete: dict[str, Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = complete["mine/sweep"]
    before = render(results, tmp_path)

    def fail(_: object) -> None:
        raise KeyError("no\nsuch column")

    monkeypatch.setattr(sweep, "draw", fail)
    assert render(results, tmp_path).problem == "", "drawn again, although nothing changed"
    assert before.svg is not None
    before.svg.write_text("somebody's own")
    drawn = render(results, tmp_path)
    assert drawn.svg is None
    assert drawn.problem == "experiments/figures/sweep.py: KeyError: 'no\\nsuch column'"
    assert before.svg is not None
    assert not before.svg.exists()


@pytest.mark.parametrize("change", ["fewer runs", "another result", "a file gone"])
def test_what_changed_is_drawn_again(
    complete: dict[str, Results], change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = complete["mine/sweep"]
    first = render(results, tmp_path)
    calls = []
    draw = sweep.draw
    monkeypatch.setattr(sweep, "draw", lambda r: calls.append(1) or draw(r))
    render(results, tmp_path)
    assert not calls
    if change == "fewer runs":
        results = only(results, lambda spec: spec.config["seed"] == 0)
    elif change == "another result":
        os.utime(results.store.folder(results.run_ids[0]) / "run.json")
    elif first.csv is not None:
        first.csv.unlink()
    assert render(results, tmp_path).problem == ""
    assert calls


def test_the_svg_takes_the_colour_of_its_page_and_carries_no_date(
    complete: dict[str, Results], tmp_path: Path
) -> None:
    drawn = render(complete["blendserve/orders-mooncake"], tmp_path)
    assert drawn.svg is not None
    text = drawn.svg.read_text()
    assert INK not in text
    assert "currentColor" in text
    assert "dc:date" not in text
    assert "prefers-color-scheme" in text
    inline = inline_svg(text, "here")
    assert inline.startswith("<svg")
    assert "<style>svg" not in inline
    ids = set(re.findall(r'\bid="([^"]+)"', inline))
    used = set(re.findall(r'href="#([^"]+)"', inline)) | set(re.findall(r"url\(#([^)]+)\)", inline))
    assert used <= ids
    assert all(name.startswith("here-") for name in ids)


def test_every_manifest_has_a_figure_file() -> None:
    from experiments.catalog import entries

    known = {path.stem for path in paths.FIGURES.glob("*.py")}
    for entry in entries():
        own = entry.id.replace("/", "_").replace("-", "_")
        assert own in known, f"{entry.id} has no figure file {own}.py"


def test_every_figure_file_belongs_to_a_manifest() -> None:
    papers = {path.name for path in paths.MANIFESTS.iterdir() if path.is_dir()}
    for path in paths.FIGURES.glob("*.py"):
        paper, _, name = path.stem.partition("_")
        if paper in papers:
            names = {f.stem.replace("-", "_") for f in (paths.MANIFESTS / paper).glob("*.yaml")}
            assert name in names, f"{path.name} draws no experiment"


def test_help_does_not_import_matplotlib() -> None:
    code = "import sys, experiments.cli; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
