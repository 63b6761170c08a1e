"""Notes on how long compiling took: kept, told apart from stale ones, never in a run's way."""

import pytest

from sim import compile_cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    current = tmp_path / "numba" / "current"
    current.mkdir(parents=True)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(current))
    return current


def test_a_note_is_ready_until_the_sources_change(folder, monkeypatch):
    compile_cache.note("part", 12.34)
    assert compile_cache.compiled() == {"part": (12.3, True)}
    other = folder.parent / "other"
    other.mkdir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(other))
    assert compile_cache.compiled() == {"part": (12.3, False)}
    compile_cache.note("part", 5.0)
    assert compile_cache.compiled() == {"part": (5.0, True)}


def test_a_damaged_note_is_passed_over(folder):
    (folder / f"part{compile_cache.TIMES}").write_text("{")
    assert compile_cache.compiled() == {}


def test_a_note_that_cannot_be_written_stops_nothing(folder, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder / "gone"))
    compile_cache.note("part", 1.0)
    assert compile_cache.compiled() == {}


def test_sources_that_compiled_code_imports_count(folder):
    names = set(compile_cache._compiled_sources())
    # A plain module of constants, a hook without the word numba, and no figure or manifest.
    assert {"sim.net.engine.layout", "policies.congestion.fixed", "sim.net.result"} <= names
    assert not any(name.startswith("experiments") for name in names)
