"""Set-up asks first, does nothing twice, and stops with one line."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.paths import ROOT
from experiments.setup import SetupError, __main__, gpu, project, venv

CPU_PLAN = {"numpy": "2.4.6", "torch": "2.13.0+cpu", "cuda-free-name": "1"}


class FakePip:
    """Stands in for pip: a plan, and a note of what was asked."""

    def __init__(self, plan):
        self.plan, self.calls = plan, []

    def __call__(self, folder, *args):
        self.calls.append(args)
        if "--dry-run" in args:
            install = [{"metadata": {"name": n, "version": v}} for n, v in self.plan.items()]
            report = Path(args[args.index("--report") + 1])
            report.write_text(json.dumps({"install": install}), encoding="utf-8")

    @property
    def installs(self):
        """Calls that change the project's packages: neither plans nor pip's own update."""
        return [a for a in self.calls if "--dry-run" not in a and a[-1] != venv.PIP]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(venv, "create", lambda folder: _make_python(folder))
    monkeypatch.setattr(venv, "_works", lambda folder: (folder / "bin" / "python").exists())
    monkeypatch.setattr(gpu, "nvidia_gpus", lambda: [])

    def start(plan):
        pip = FakePip(plan)
        monkeypatch.setattr(venv, "pip", pip)
        return pip

    return start


def _make_python(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()


def test_cuda_names():
    names = ["nvidia-cublas", "nvidia_nccl_cu12", "cuda-toolkit", "triton", "cupy-cuda13x", "jax"]
    names += ["numpy", "torch", "xgboost-cpu", "pytorch-triton", "thing-cu13"]
    found = venv.cuda_packages(names)
    expected = ["cuda-toolkit", "nvidia-cublas", "nvidia_nccl_cu12", "pytorch-triton"]
    assert found == sorted([*expected, "thing-cu13", "triton"])
    assert venv.cuda_packages(["nvidia-cutlass", "cuda_python", "cuda-bindings"]) == []


def test_second_call_does_nothing_and_extras_add_up(fake, tmp_path):
    pip = fake({"numpy": "2.4.6"})
    venv.ensure(["cluster"], venv=tmp_path / "v")
    assert [args[0] for args in pip.calls] == ["install"] * 4
    venv.ensure([], venv=tmp_path / "v")
    assert len(pip.calls) == 4
    venv.ensure([], ["docs"], venv=tmp_path / "v")
    asked = {project.requirement_name(a) for a in pip.installs[2] if a[0] not in "-/"}
    assert {"distributed", "sphinx"} <= asked
    assert venv.is_ready(tmp_path / "v", ["cluster"], ["docs"])


def test_changed_lock_is_noticed(fake, tmp_path, monkeypatch):
    fake({})
    venv.ensure(venv=tmp_path / "v")
    assert venv.is_ready(tmp_path / "v", [], [])
    monkeypatch.setattr(project, "fingerprint", lambda: "another")
    assert not venv.is_ready(tmp_path / "v", [], [])


def test_cuda_without_gpu_stops_before_the_download(fake, tmp_path):
    pip = fake({"torch": "2.13.0", "nvidia-cublas": "13.1", "triton": "3.7"})
    with pytest.raises(SetupError) as caught:
        venv.ensure(["congestion"], venv=tmp_path / "v")
    assert "2 CUDA packages" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not pip.installs
    assert not venv.is_ready(tmp_path / "v", [], [])
    venv.ensure(["congestion"], venv=tmp_path / "v", allow_cuda=True)
    assert pip.installs


def test_cuda_with_gpu_and_cpu_without_are_installed(fake, tmp_path, monkeypatch):
    pip = fake({"numpy": "2.4.6", "torch": "2.13.0+cpu"})
    venv.ensure(["congestion"], venv=tmp_path / "cpu")
    assert pip.installs
    monkeypatch.setattr(gpu, "nvidia_gpus", lambda: ["NVIDIA Example"])
    pip = fake({"torch": "2.13.0", "nvidia-cublas": "13.1"})
    venv.ensure(["congestion"], venv=tmp_path / "gpu")
    assert pip.installs


def test_interrupted_install_is_done_again(fake, tmp_path, monkeypatch):
    fake({})
    venv.ensure(venv=tmp_path / "v")
    pip = fake({"sphinx": "9"})

    def stop(folder, *args):
        pip(folder, *args)
        if pip.installs:
            raise KeyboardInterrupt

    monkeypatch.setattr(venv, "pip", stop)
    with pytest.raises(KeyboardInterrupt):
        venv.ensure([], ["docs"], venv=tmp_path / "v")
    assert not venv.is_ready(tmp_path / "v", [], [])


@pytest.mark.parametrize("stamp", ["", "[]", "{", '{"fingerprint": 3}'])
def test_damaged_stamp_is_no_stamp(tmp_path, stamp):
    _make_python(tmp_path)
    (tmp_path / "triptych.json").write_text(stamp, encoding="utf-8")
    assert not venv.is_ready(tmp_path, [], [])


def test_python_without_ensurepip_gets_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(venv, "apt_install", lambda wanted: "not root")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(SetupError, match=rf"\(not root\): apt-get install python{version}-venv$"):
        venv.create(tmp_path / "v")


def test_command_line_errors_are_one_line(capsys):
    assert __main__.main(["venv", "--extras", "nosuch"]) == 2
    assert capsys.readouterr().err.startswith("set-up: no extra 'nosuch' in pyproject.toml")
    assert __main__.main(["programs", "emacs"]) == 2


def test_wishes_that_cannot_be_had_are_left_out(monkeypatch, capsys):
    asked = []

    def ensure(extras, groups, **_):
        asked.append(list(extras))
        if "tuning" in extras:
            raise SetupError("no NVIDIA GPU here")

    monkeypatch.setattr(venv, "ensure", ensure)
    assert __main__.main(["venv", "--extras", "cluster", "--wish", "tuning"]) == 0
    assert asked == [["cluster", "tuning"], ["cluster"]]
    said = capsys.readouterr().err
    assert said == "set-up: left out tuning, and what needs it: no NVIDIA GPU here\n"
    asked.clear()
    assert __main__.main(["venv", "--wish", "congestion"]) == 0
    assert asked == [["congestion"]]
    assert __main__.main(["venv", "--extras", "tuning"]) == 2


def test_runs_with_the_standard_library_alone_and_at_once():
    begin = time.monotonic()
    command = [sys.executable, "-I", "-S", "-c", _HELP]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "venv" in done.stdout
    assert time.monotonic() - begin < 5


_HELP = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
sys.argv = ["experiments.setup", "--help"]
runpy.run_module("experiments.setup", run_name="__main__")
"""
