"""Pools from files of the user's own: `workload: {kind: file, path: ...}`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.kinds.serving_config import ServingConfig
from experiments.kinds.serving_order import ServingOrder
from experiments.kinds.serving_pools import make_workload, notes_on
from experiments.kinds.serving_settle import settled
from experiments.kinds.serving_workloads import FileWorkload
from serving.traces.base import TraceError

prompts = st.lists(st.integers(0, 50), min_size=1, max_size=40)
rows = st.lists(st.tuples(prompts, st.integers(1, 30)), min_size=1, max_size=12)


def written(path: Path, made: list[tuple[list[int], int]]) -> dict[str, Any]:
    lines = (json.dumps({"prompt_token_ids": p, "output_tokens": n}) for p, n in made)
    path.write_text("\n".join(lines) + "\n")
    return {"kind": "file", "path": str(path), "format": "jsonl", "requests": None, "sha256": None}


def pool(workload: dict[str, Any], seed: int = 0) -> Any:
    return make_workload(FileWorkload.model_validate(settled(workload)), seed, 4)


@settings(deadline=None)  # the first example compiles
@given(rows)
def test_the_pool_is_the_file(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[list[int], int]]
) -> None:
    workload = pool(written(tmp_path_factory.mktemp("pool") / "mine.jsonl", made))
    assert workload.pool.prompt_tokens.tolist() == [len(prompt) for prompt, _ in made]
    assert workload.output_tokens.tolist() == [output for _, output in made]


def test_a_window_is_drawn_by_the_seed_and_the_content_alone(tmp_path: Path) -> None:
    made = [([n] * 8, 1 + n) for n in range(40)]
    one = written(tmp_path / "a.jsonl", made) | {"requests": 5}
    other = written(tmp_path / "b.jsonl", made) | {"requests": 5}
    windows = [pool(one, seed).output_tokens.tolist() for seed in range(8)]
    assert len({tuple(window) for window in windows}) > 1
    assert windows == [pool(other, seed).output_tokens.tolist() for seed in range(8)]
    for window in windows:
        assert np.diff(window).tolist() == [1] * 4


def test_another_content_is_another_run(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    first = settled(written(path, [([1, 2], 3)]))
    assert settled(written(path, [([1, 2], 3)])) == first
    second = settled(written(path, [([1, 2], 4)]))
    assert second["sha256"] != first["sha256"]
    with pytest.raises(TraceError, match="has changed"):
        make_workload(FileWorkload.model_validate(first), 0, 4)


def test_an_order_runs_on_it_and_its_origin_is_told(tmp_path: Path) -> None:
    given_ = written(tmp_path / "mine.jsonl", [([n % 3] * 32 + [n], 2 + n) for n in range(12)])
    config = ServingConfig.model_validate({"workload": given_}).model_dump(mode="json")
    resolved = ServingOrder.resolve(config) | {"policy": "prefix_dfs", "seed": 0}
    outcome = ServingOrder.run(resolved)
    assert outcome.metrics["makespan_s"] > 0
    assert any("mine.jsonl" in note for note in outcome.notes)
    full = FileWorkload.model_validate(settled(given_))
    assert notes_on(full, pool(given_)) == ["file mine.jsonl (jsonl)"]


def test_bad_files_are_one_message(tmp_path: Path) -> None:
    absent = {"kind": "file", "path": str(tmp_path / "absent.jsonl")}
    with pytest.raises(ValueError, match=r"workload\.path: there is no file"):
        settled(absent)
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt_token_ids": [1], "output_tokens": 2}\n{"prompt_token_ids": []}\n')
    with pytest.raises(TraceError, match="row 2"):
        pool({"kind": "file", "path": str(path)})
    with pytest.raises(ValidationError, match="format"):
        FileWorkload.model_validate({"kind": "file", "path": "x", "format": "csv"})
