"""Writes `constraints.txt` (the lock) and `environment.yml` from `pyproject.toml`.

Core, extras and groups are resolved together, in an empty environment, to the newest versions
that fit. The lock holds names and versions only: no addresses, no local version suffixes.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

from experiments.paths import ROOT
from experiments.setup import SetupError, project, venv

ENVIRONMENT = ROOT / "environment.yml"
CONDA = ["c-compiler", "cxx-compiler", "git", "make", "pip"]
CONDA_EXTRAS, CONDA_GROUPS = ["cluster"], ["test"]
"""What `environment.yml` holds: nothing that would bring CUDA to a machine without a GPU."""

_LOCK_HEADER = """\
# The lock: versions that were resolved together, for Linux, CPU and Python {python}.
# For pip: pip install -c constraints.txt -e '.[all]'. Written by `make lock`; do not edit.
"""
_ENVIRONMENT_HEADER = """\
# For conda users: conda env create -f environment.yml. Written by `make lock`; do not edit.
# It holds what `make reproduce` and `make test` need. Panels with torch or TVM: install
# PyTorch's CPU or CUDA build as you need it, then pip install -c constraints.txt -e '.[all]'.
# Mininet, the kernel tools and Chromium come from the system: triptych doctor says what is missing.
"""


def lock_text(plan: Mapping[str, str], python: str) -> str:
    """Return the text of `constraints.txt`.

    Raises:
        SetupError: the plan holds CUDA packages, which a CPU lock must not.
    """
    if found := venv.cuda_packages(plan):
        raise SetupError(
            f"the plan holds CUDA packages ({', '.join(found[:3])}, ...): "
            "let pip find PyTorch's CPU build (for instance a wheel by PIP_FIND_LINKS), then repeat"
        )
    pins = [f"{name}=={plan[name].split('+')[0]}" for name in sorted(plan)]
    return _LOCK_HEADER.format(python=python) + "\n".join(pins) + "\n"


def environment_text(pins: Mapping[str, str], python: str) -> str:
    """Return the text of `environment.yml`, with the versions of the lock."""
    wanted = project.requirements(CONDA_EXTRAS, CONDA_GROUPS)
    names = sorted({project.requirement_name(requirement) for requirement in wanted})
    lines = ["name: triptych", "channels:", "  - conda-forge", "dependencies:"]
    lines += [f"  - python={python}", *(f"  - {name}" for name in CONDA), "  - pip:"]
    lines += ["      - -c constraints.txt"]
    lines += [f"      - {name}=={pins[name]}" for name in names]
    lines += ["      - -e ."]
    return _ENVIRONMENT_HEADER + "\n".join(lines) + "\n"


def lock() -> dict[str, str]:
    """Resolve, write both files, and return the pins."""
    python = ".".join(platform.python_version_tuple()[:2])
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "venv"
        venv.create(empty)
        venv.pip(empty, "install", venv.PIP)
        plan = venv.resolve(empty, project.all_requirements(), "--ignore-installed")
    project.CONSTRAINTS.write_text(lock_text(plan, python), encoding="utf-8")
    pins = project.constraints()
    ENVIRONMENT.write_text(environment_text(pins, python), encoding="utf-8")
    return pins
