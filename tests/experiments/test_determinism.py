"""Same manifest, same bytes: whatever the number of workers and the seed of Python's hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiments.harness import sweep

pytestmark = pytest.mark.extensive

FIELDS = {"axes": [{"grid": {"x": [1.0, 2.0], "label": ["a", "b", "c"]}}], "seeds": 5}


def test_workers_and_hash_seeds_do_not_change_the_table(tmp_path: Path) -> None:
    tables = set()
    settings = [("1", "0"), ("2", "0"), ("4", "0"), ("2", "4242"), ("serial", "7")]
    for workers, hash_seed in settings:
        each = sweep(tmp_path / f"{workers}-{hash_seed}", **FIELDS)
        options = ["--serial"] if workers == "serial" else ["--workers", workers]
        done = each.run(*options, environment={"PYTHONHASHSEED": hash_seed})
        assert done.returncode == 0, done.stderr
        assert each.finished() == 30
        tables.add(each.table())
    assert len(tables) == 1
