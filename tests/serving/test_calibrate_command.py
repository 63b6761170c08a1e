"""`triptych calibrate`: a file and its error, or one message."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from experiments.cli import app
from experiments.problems import InputError
from tests.needs import need


def _call(*words):
    return CliRunner().invoke(app, ["calibrate", *words])


def test_an_unknown_model_is_bad_input(tmp_path):
    done = _call("--model", "smal", "--out", str(tmp_path / "x.json"))
    assert isinstance(done.exception, InputError)
    assert "small" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_an_unknown_type_is_bad_input():
    done = _call("--dtype", "int3")
    assert isinstance(done.exception, InputError)
    assert "float32, bfloat16" in str(done.exception)


def test_without_vllm_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_VLLM", str(tmp_path / "none"))
    done = _call()
    assert done.exit_code == 1
    assert "make vllm installs it" in done.output
    assert "Traceback" not in done.output


@pytest.mark.extensive
def test_it_writes_an_entry_on_this_machine(tmp_path):
    """A small pool on the tiny model: a file whose predictions are at least of the right order."""
    need("vllm")
    path = tmp_path / "cpu.json"
    words = ("--model", "tiny", "--scale", "0.2", "--repeats", "1", "--out", str(path))
    done = _call(*words)
    assert done.exit_code == 0, done.output
    entry = json.loads(path.read_text(encoding="utf-8"))
    assert entry["steps"] > 50
    assert {one["pool"] for one in entry["judged"]} == {"mix", "prefix", "outputs"}
    assert all(0.3 < 1 + one["error"] < 3 for one in entry["judged"])
    assert "worst error" in done.output
