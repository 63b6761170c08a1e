"""What `pyproject.toml` and the lock ask for."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiments.paths import ROOT
from experiments.setup import SetupError

PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "constraints.txt"


def canonical(name: str) -> str:
    """Return a package name as indexes compare it: lower case, runs of `-_.` as one `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Return the canonical package name of a requirement such as `Dask[array]>=2026.8`."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    if not found:
        raise SetupError(f"not a requirement: {requirement!r}")
    return canonical(found[0])


def _known(kind: str, table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise SetupError(f"no {kind} {name!r} in pyproject.toml (known: {', '.join(table)})")
    return table[name]


def _extra(project: dict[str, Any], name: str) -> list[str]:
    found = []
    for requirement in _known("extra", project["optional-dependencies"], name):
        inner = re.fullmatch(rf"{project['name']}\[(.+)\]", requirement)
        if inner:
            found += [r for n in inner[1].split(",") for r in _extra(project, n.strip())]
        else:
            found.append(requirement)
    return found


def _group(groups: dict[str, Any], name: str) -> list[str]:
    found = []
    for entry in _known("group", groups, name):
        is_include = isinstance(entry, dict)
        found += _group(groups, entry["include-group"]) if is_include else [entry]
    return found


def requirements(extras: Iterable[str] = (), groups: Iterable[str] = ()) -> list[str]:
    """Return core requirements and those of `extras` and `groups`, sorted, each once.

    Raises:
        SetupError: an extra or group has another name.
    """
    data = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    found = list(data["project"]["dependencies"])
    for name in extras:
        found += _extra(data["project"], name)
    for name in groups:
        found += _group(data["dependency-groups"], name)
    return sorted(set(found))


def all_requirements() -> list[str]:
    """Return the requirements of the core, of every extra and of every group."""
    return requirements(["all"], ["dev"])


def constraints(path: Path = CONSTRAINTS) -> dict[str, str]:
    """Return the lock as canonical name -> version."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==", 1) for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


def fingerprint() -> str:
    """Return a hash of what decides an environment: `pyproject.toml` and the lock."""
    digest = hashlib.sha256()
    for path in (PYPROJECT, CONSTRAINTS):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
