"""`pyproject.toml`, the lock and `environment.yml` agree, and the lock is plain."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from experiments.paths import PACKAGES, ROOT
from experiments.setup import SetupError, lock, project

PYPROJECT = tomllib.loads(project.PYPROJECT.read_text(encoding="utf-8"))


def test_lock_is_sorted_names_and_versions_only():
    lines = project.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", pin) for pin in pins)
    assert pins == sorted(pins, key=lambda pin: pin.split("==")[0])
    assert len(project.constraints()) == len(pins)


def test_lock_covers_and_satisfies_every_requirement():
    pins = project.constraints()
    for text in project.all_requirements():
        wanted = Requirement(text)
        assert wanted.specifier.contains(pins[project.canonical(wanted.name)]), text


def test_environment_agrees_with_pyproject_and_lock():
    data = YAML(typ="safe", pure=True).load(lock.ENVIRONMENT.read_text(encoding="utf-8"))
    conda, pip = data["dependencies"][:-1], data["dependencies"][-1]["pip"]
    python = next(entry for entry in conda if entry.startswith("python=")).split("=")[1]
    assert Requirement(f"x{PYPROJECT['project']['requires-python']}").specifier.contains(python)
    assert (pip[0], pip[-1]) == ("-c constraints.txt", "-e .")
    wanted = project.requirements(lock.CONDA_EXTRAS, lock.CONDA_GROUPS)
    pinned = dict(entry.split("==") for entry in pip[1:-1])
    assert set(pinned) == {project.requirement_name(text) for text in wanted}
    assert pinned == {name: project.constraints()[name] for name in pinned}


def test_written_files_are_what_lock_would_write():
    pins, python = project.constraints(), "3.11"
    assert lock.ENVIRONMENT.read_text() == lock.environment_text(pins, python)
    assert project.CONSTRAINTS.read_text() == lock.lock_text(pins, python)


def test_lock_refuses_cuda_and_drops_local_versions():
    assert "torch==2.13.0\n" in lock.lock_text({"torch": "2.13.0+cpu"}, "3.11")
    with pytest.raises(SetupError, match=r"CUDA packages \(nvidia-cublas"):
        lock.lock_text({"torch": "2.13.0", "nvidia-cublas": "13.1"}, "3.11")


def test_extras_and_groups_expand():
    everything = project.requirements(["all"])
    for extra in ("cluster", "congestion", "symbolic", "tuning"):
        assert set(project.requirements([extra])) <= set(everything)
    assert set(project.requirements(groups=["test"])) <= set(project.requirements(groups=["dev"]))
    core = {project.requirement_name(text) for text in project.requirements()}
    assert not core & {"torch", "pysr", "apache-tvm", "pytest", "distributed"}


@pytest.mark.parametrize("kind", ["extras", "groups"])
def test_unknown_extra_or_group_is_refused(kind):
    with pytest.raises(SetupError, match=rf"no {kind[:-1]} 'nosuch' in pyproject.toml \(known: "):
        project.requirements(**{kind: ["nosuch"]})


def test_packages_are_the_given_folders_and_tests_is_not_one():
    include = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {pattern.removesuffix(".*") for pattern in include} == set(PACKAGES)
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == {"": "."}


def test_no_address_in_what_is_installed_from():
    for name in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|index-url|find-links", text), name
