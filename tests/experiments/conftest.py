"""Every test here writes to folders of its own, and knows the run kinds of the plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.check import load_manifest
from experiments.kinds.base import KINDS
from experiments.manifest import Manifest
from policies.registry import load_plugin
from tests.experiments.harness import PLUGIN, write_manifest

COMPARED = Path(__file__).with_name("plugin_compared.py")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in ("RESULTS", "BUILD", "CACHE", "DATA"):
        monkeypatch.setenv(f"TRIPTYCH_{name}", str(home / name.lower()))


@pytest.fixture(scope="session", autouse=True)
def _plugins() -> None:
    for plugin in (PLUGIN, COMPARED):
        load_plugin(plugin, [KINDS])


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Manifest]:
    """Return a function from a manifest's fields to the checked manifest."""

    def checked(**fields: Any) -> Manifest:
        return load_manifest(write_manifest(tmp_path, **fields))

    return checked
