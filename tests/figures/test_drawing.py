"""Figures drawn by processes: the same bytes, no process too many, and a crash is one message."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.figures.drawing import Drawing
from experiments.figures.render import Rendered, render
from experiments.tables import Results
from tests.figures.synthetic import manifest, mixes, results_of

DEADLY = "import os; os._exit(7)"


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    home = tmp_path_factory.mktemp("stores")
    return [results_of(m, home / m.name) for m in (manifest(), mixes())]


@pytest.fixture
def deadly(tmp_path: Path) -> Path:
    """Return a plug-in that ends the process which loads it."""
    path = tmp_path / "deadly.py"
    path.write_text(DEADLY)
    return path


def contents(drawn: Rendered) -> list[bytes]:
    files = [f for f in (drawn.svg, drawn.png, drawn.csv) if f is not None]
    return [file.read_bytes() for file in files]


@pytest.mark.extensive
def test_processes_draw_what_the_caller_would(some: list[Results], tmp_path: Path) -> None:
    with Drawing(2) as drawing:
        pending = [drawing.submit(results, tmp_path / "there") for results in some]
    for results, future in zip(some, pending, strict=True):
        here, there = render(results, tmp_path / "here"), future.result(timeout=0)
        assert there.problem == ""
        assert len(contents(here)) == 3
        assert contents(here) == contents(there)
        assert (here.caption, here.missing) == (there.caption, there.missing)


@pytest.mark.extensive
def test_a_process_that_dies_is_one_message_per_figure(
    some: list[Results], deadly: Path, tmp_path: Path
) -> None:
    with Drawing(2, [deadly]) as drawing:
        pending = [drawing.submit(results, tmp_path / "out") for results in some]
    found = [future.result(timeout=0) for future in pending]
    assert [drawn.svg for drawn in found] == [None, None]
    assert all(drawn.problem.startswith("its process died (") for drawn in found)


def test_an_unchanged_figure_starts_no_process(
    some: list[Results], deadly: Path, tmp_path: Path
) -> None:
    first = render(some[0], tmp_path / "out")
    with Drawing(2, [deadly]) as drawing:
        assert drawing.submit(some[0], tmp_path / "out").result(timeout=0) == first


def test_one_worker_is_the_caller(some: list[Results], deadly: Path, tmp_path: Path) -> None:
    with Drawing(1, [deadly]) as drawing:
        drawn = drawing.submit(some[0], tmp_path / "out").result(timeout=0)
    assert drawn.problem == ""
    assert len(contents(drawn)) == 3


@pytest.mark.extensive
def test_what_drawing_cannot_write_is_the_callers_to_hear(
    some: list[Results], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    with Drawing(2) as drawing:
        pending = drawing.submit(some[0], tmp_path / "out")
    with pytest.raises(OSError, match="out"):
        pending.result(timeout=0)
