"""Overhead of the runner: trivial runs, compaction, and what the report asks of the tables."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import pytest

from experiments.check import load_manifest
from experiments.paths import ROOT
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import collect, compact, export
from experiments.worker import registries
from policies.registry import load_plugin
from tests.experiments.harness import PLUGIN, Sweep, sweep

FIELDS = {"axes": [{"grid": {"x": [1.0, 2.0, 3.0, 4.0, 5.0]}}], "seeds": 400}
STDLIB = "concurrent.futures, one fsynced JSON file a run, no isolation"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """2,000 finished trivial runs."""
    load_plugin(PLUGIN, registries())
    whole = sweep(tmp_path_factory.mktemp("done"), **FIELDS)
    assert whole.run("--workers", "2").returncode == 0
    return whole


@pytest.mark.bench("runner/trivial2000", unit="s", better="lower")
def test_trivial2000(measure, tmp_path_factory: pytest.TempPathFactory) -> None:
    """2,000 trivial runs on two workers: the whole command, start-up and figure included."""

    def fresh():
        return (sweep(tmp_path_factory.mktemp("runs"), **FIELDS),), {}

    def command(fresh_sweep: Sweep) -> None:
        assert fresh_sweep.run("--workers", "2").returncode == 0
        assert fresh_sweep.finished() == 2000

    measure(command, rounds=3, setup=fresh)


@pytest.mark.bench("runner/trivial2000", unit="s", better="lower", side=STDLIB)
def test_trivial2000_peer(measure, tmp_path_factory: pytest.TempPathFactory) -> None:
    def script() -> None:
        folder = tmp_path_factory.mktemp("plain")
        command = [sys.executable, "-m", "tests.bench.bench_runner", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True)
        assert len(list(folder.iterdir())) == 2000

    measure(script, rounds=3)


@pytest.mark.bench("runner/compact", unit="s", better="lower")
def test_compact(measure, done: Sweep) -> None:
    """2,000 finished runs to one Parquet table."""
    plan, store = make_plan(load_manifest(done.manifest), "quick"), Store(done.home / "results")
    measure(lambda: export(collect(plan, store), store.root))


@pytest.mark.bench("runner/compact", unit="s", better="lower", side="DuckDB over the JSON files")
def test_compact_peer(measure, done: Sweep, tmp_path: Path) -> None:
    files = str(done.home / "results/runs/*/*/metrics.json")
    target = tmp_path / "out.parquet"

    def copy() -> None:
        duckdb.sql(f"COPY (SELECT * FROM read_json('{files}')) TO '{target}' (FORMAT parquet)")

    measure(copy)


QUERY = "SELECT x, avg(value) AS mean, count(*) AS n FROM {} GROUP BY x ORDER BY x"


@pytest.mark.bench("runner/query", unit="s", better="lower")
def test_query(measure, done: Sweep) -> None:
    """Mean per point of the sweep over 2,000 runs, from the compacted table."""
    file = done.home / "results/tables/mine/sweep.quick.parquet"
    rows = measure(lambda: duckdb.sql(QUERY.format(f"read_parquet('{file}')")).fetchall())
    assert len(rows) == 5


@pytest.mark.bench("runner/query", unit="s", better="lower", side="DuckDB over the JSON files")
def test_query_peer(measure, done: Sweep) -> None:
    files = str(done.home / "results/runs/*/*/run.json")
    inner = f"(SELECT config.x AS x, wall_s AS value FROM read_json('{files}'))"
    rows = measure(lambda: duckdb.sql(QUERY.format(inner)).fetchall())
    assert len(rows) == 5


@pytest.mark.bench("runner/read_table", unit="s", better="lower")
def test_read_table(measure, done: Sweep) -> None:
    """What figures and claims do first: the state of 2,000 runs and their table in memory."""
    plan, store = make_plan(load_manifest(done.manifest), "quick"), Store(done.home / "results")
    table = measure(lambda: compact(collect(plan, store)))
    assert table.num_rows == 2000


def plain_run(job: tuple[str, int]) -> None:
    """Do one trivial run the plain way: compute, write, flush to the disk."""
    import os

    folder, index = job
    with open(Path(folder) / f"{index}.json", "w") as file:
        json.dump({"value": float(index)}, file)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(plain_run, [(sys.argv[1], i) for i in range(2000)]))
