"""The virtual environment `.venv`: made once, asked of the resolver first, never half-trusted.

A stamp inside the environment says what was installed from which `pyproject.toml` and lock. It is
removed before anything changes and written last, so an interrupted set-up starts again.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.paths import ROOT, cache_root
from experiments.setup import SetupError, gpu, project
from experiments.setup.packages import apt_install

VENV = ROOT / ".venv"
PIP = "pip>=25.1,<27"
"""Older ones download whole packages to plan; a newer one may plan in another way."""

_CUDA = re.compile(r"(nvidia|cuda)-.*|triton|pytorch-triton.*|.*-cu\d\d+")
_LIGHT = {
    "nvidia-cutlass",
    *(f"cuda-{part}" for part in ("python", "bindings", "core", "pathfinder")),
}
"""Headers, and bindings of a few megabytes that load no driver until they are called."""


def cuda_packages(names: Iterable[str]) -> list[str]:
    """Return those package names that only serve NVIDIA GPUs, headers and bindings left out."""
    known = ((name, project.canonical(name)) for name in names)
    return sorted(name for name, own in known if _CUDA.fullmatch(own) and own not in _LIGHT)


def read_stamp(venv: Path) -> dict[str, Any]:
    """Return what was noted of the environment; nothing if the note is missing or damaged."""
    try:
        stamp = json.loads((venv / "triptych.json").read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


def is_ready(venv: Path, extras: Iterable[str], groups: Iterable[str]) -> bool:
    """Return whether `venv` holds what is asked, from the present `pyproject.toml` and lock."""
    stamp = read_stamp(venv)
    return (
        stamp.get("fingerprint") == project.fingerprint()
        and stamp.get("root") == str(ROOT)
        and set(extras) <= set(stamp.get("extras", []))
        and set(groups) <= set(stamp.get("groups", []))
        and (venv / "bin" / "python").exists()
    )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for another set-up of this checkout; `make -j` and two shells are common."""
    cache = cache_root()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _works(venv: Path) -> bool:
    """Return whether pip runs in `venv`; a moved or upgraded Python leaves a broken one."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "--version"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def create(venv: Path) -> None:
    """Make an empty environment with pip.

    Raises:
        SetupError: Debian's Python came without `ensurepip` and it cannot be installed here.
    """
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        why = apt_install([package])
        if why:
            raise SetupError(f"this Python lacks ensurepip ({why}): apt-get install {package}")
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = ((done.stderr + done.stdout).strip().splitlines() or ["no message"])[-1]
        raise SetupError(f"could not make {venv}: {last}")


def pip(venv: Path, *args: str) -> None:
    """Run pip of `venv`; its errors go to stderr.

    Raises:
        SetupError: pip failed.
    """
    env = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    command = [str(venv / "bin" / "python"), "-m", "pip", "-qq", *args]
    if subprocess.run(command, env=env, cwd=ROOT, check=False).returncode != 0:
        raise SetupError(f"pip {args[0]} failed; its message is above")


def resolve(venv: Path, wanted: Sequence[str], *options: str) -> dict[str, str]:
    """Ask pip what it would install for `wanted`: canonical name -> version.

    With `fast-deps` pip reads what packages need without downloading them, from any index.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        dry = ["--dry-run", "--use-feature=fast-deps", "--report", str(report)]
        pip(venv, "install", *dry, *options, *wanted)
        plan = json.loads(report.read_text(encoding="utf-8"))["install"]
    packages = [entry["metadata"] for entry in plan]
    return {project.canonical(p["name"]): p["version"] for p in packages}


def refuse_cuda(plan: Iterable[str], gpus: Sequence[str]) -> None:
    """Stop before gigabytes are downloaded that nothing here can use.

    Raises:
        SetupError: the plan holds CUDA packages and the machine has no NVIDIA GPU.
    """
    found = cuda_packages(plan)
    if found and not gpus:
        raise SetupError(
            f"no NVIDIA GPU here, yet pip would download {len(found)} CUDA packages "
            f"({', '.join(found[:3])}, ...): first install PyTorch's CPU build of the version in "
            "constraints.txt into .venv, as the selector on pytorch.org says, "
            "or repeat with --allow-cuda"
        )


def ensure(
    extras: Iterable[str] = (),
    groups: Iterable[str] = (),
    *,
    venv: Path = VENV,
    allow_cuda: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Make `venv` hold the project, editable, with `extras` and `groups`, from the lock.

    What an earlier call installed stays. Does nothing if everything is there.

    Raises:
        SetupError: it cannot be done; the message says why and what to do.
    """
    if is_ready(venv, extras, groups):
        return
    with _one_at_a_time():
        if is_ready(venv, extras, groups):
            return
        before = read_stamp(venv)
        all_extras = sorted({*extras, *before.get("extras", [])})
        all_groups = sorted({*groups, *before.get("groups", [])})
        wanted = project.requirements(all_extras, all_groups)
        if not _works(venv):
            say(f"making {venv.name}")
            create(venv)
        pip(venv, "install", PIP)
        locked = ("-c", str(project.CONSTRAINTS))
        plan = resolve(venv, wanted, *locked)
        if not allow_cuda:
            refuse_cuda(plan, gpu.nvidia_gpus() if cuda_packages(plan) else [])
        (venv / "triptych.json").unlink(missing_ok=True)
        if plan:
            say(f"installing {len(plan)} packages into {venv.name}")
            pip(venv, "install", *locked, *wanted)
        pip(venv, "install", "--no-deps", "-e", str(ROOT))
        stamp = {
            "fingerprint": project.fingerprint(),
            "root": str(ROOT),
            "extras": all_extras,
            "groups": all_groups,
        }
        (venv / "triptych.json").write_text(json.dumps(stamp) + "\n", encoding="utf-8")
