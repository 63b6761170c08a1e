"""Compiling ahead: every part runs, is noted beside the code, and is not looked at again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from experiments import compiling
from sim import compile_cache
from tests.needs import need


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, bool]]:
    """What is noted, by part, in place of files."""
    notes: dict[str, tuple[float, bool]] = {}
    monkeypatch.setattr(compile_cache, "compiled", lambda: dict(notes))
    monkeypatch.setattr(compile_cache, "note", lambda n, s: notes.update({n: (s, True)}))
    return notes


@pytest.mark.extensive
@pytest.mark.parametrize("name", compiling.PARTS)
def test_every_part_runs_and_is_noted(name: str, noted: dict[str, tuple[float, bool]]) -> None:
    if name == "training":
        need("torch")
    seconds = compiling.compile_part(name)
    assert noted[name] == (seconds, True)


def test_a_part_that_cannot_be_compiled_is_not_noted(
    noted: dict[str, tuple[float, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> Iterator[compiling.Run]:
        raise ImportError("no such library")

    monkeypatch.setitem(compiling.PARTS, "environments", fails)
    with pytest.raises(ImportError, match="no such library"):
        compiling.compile_part("environments")
    assert noted == {}


class InThisProcess:
    """An executor that does a task when it is submitted."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take what a pool takes."""

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be ended."""

    def submit(self, function: Callable[[str], float], name: str) -> Future[float]:
        future: Future[float] = Future()
        try:
            future.set_result(function(name))
        except ImportError as error:
            future.set_exception(error)
        return future


def test_the_set_up_goes_on_where_a_part_cannot_be_compiled(
    noted: dict[str, tuple[float, bool]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> Iterator[compiling.Run]:
        raise ImportError("no such library")

    monkeypatch.setattr(compiling, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(compiling, "PARTS", {"broken": fails, "sound": lambda: iter(())})
    assert compiling.main() == 0
    assert list(noted) == ["sound"]
    told = capsys.readouterr().err
    assert "broken: left to the runs that need it (no such library)" in told
    assert compiling.wanted() == ["broken"]


def test_a_part_that_needs_what_is_not_installed_is_not_wanted(
    noted: dict[str, tuple[float, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert noted == {}
    monkeypatch.setattr(compiling, "NEEDS", {"training": ("no_such_module",)})
    assert compiling.wanted() == [name for name in compiling.PARTS if name != "training"]


def test_what_is_compiled_for_these_sources_is_left_alone(
    noted: dict[str, tuple[float, bool]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(compiling, "ProcessPoolExecutor", None)  # calling it would raise
    noted.update(dict.fromkeys(compiling.PARTS, (1.0, True)))
    assert compiling.main() == 0
    assert capsys.readouterr().err == ""
    noted["environments"] = (1.0, False)  # of other sources
    with pytest.raises(TypeError):
        compiling.main()
