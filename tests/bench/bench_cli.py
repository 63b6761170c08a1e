"""Start-up of the command line, in processes of its own, with 60 manifests to list."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from experiments.paths import MANIFESTS, ROOT

PEER = "python -c 'import numpy'"


def run(*arguments: str, **environment: str) -> None:
    """Run a command to its end, which must be a good one."""
    command = [sys.executable, *arguments]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder of 60 manifests, made from ours, already listed once (so the cache is warm)."""
    home, yaml = tmp_path_factory.mktemp("sixty"), YAML(typ="safe", pure=True)
    originals = sorted(MANIFESTS.glob("*/*.yaml"))
    for index in range(60):
        values = yaml.load(originals[index % len(originals)].read_text())
        values["id"] = f"copies/experiment-{index}"
        target = home / "manifests/copies" / f"experiment-{index}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "w") as file:
            yaml.dump(values, file)
    environment = {"TRIPTYCH_MANIFESTS": str(home / "manifests")}
    environment |= {
        "TRIPTYCH_CACHE": str(home / "cache"),
        "TRIPTYCH_RESULTS": str(home / "results"),
    }
    run("-m", "experiments.cli", "list", **environment)
    return environment


@pytest.mark.bench("cli/help", unit="s", better="lower")
def test_help(measure) -> None:
    measure(lambda: run("-m", "experiments.cli", "--help"), rounds=15)


@pytest.mark.bench("cli/help", unit="s", better="lower", side=PEER)
def test_help_peer(measure) -> None:
    measure(lambda: run("-c", "import numpy"), rounds=15)


@pytest.mark.bench("cli/list", unit="s", better="lower")
def test_list(measure, sixty: dict[str, str]) -> None:
    measure(lambda: run("-m", "experiments.cli", "list", **sixty), rounds=15)


@pytest.mark.bench("cli/list", unit="s", better="lower", side=PEER)
def test_list_peer(measure) -> None:
    measure(lambda: run("-c", "import numpy"), rounds=15)
