"""Debian's Mininet under our Python, without its neighbours.

Mininet is a pure-Python package of the system. Its folder holds other packages too, older than
ours, so that folder must not come on the path: the one package is loaded by itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

from emu.problems import EmulationError
from experiments.setup.packages import PROGRAMS, PYTHON_FOLDERS, find_program


def load(module: str, folders: tuple[str, ...] = PYTHON_FOLDERS) -> ModuleType:
    """Return a module of Mininet, such as "net" or "node".

    Raises:
        EmulationError: Mininet, or a program that it calls, is missing or does not work.
    """
    if "mininet" not in sys.modules:
        _load_package(folders)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # distutils, invalid escapes: not ours
        try:
            return importlib.import_module(f"mininet.{module}")
        except ImportError as error:
            raise EmulationError(
                f"Mininet does not work with this Python ({error}); use Python 3.11"
            ) from None


def _load_package(folders: tuple[str, ...]) -> None:
    lacking = []
    for name in ("mn", "ifconfig", "ip", "ethtool", "ping"):
        if find_program(name) is None:
            lacking.append(PROGRAMS[name])
    if lacking:
        packages = " ".join(sorted({row.package or "" for row in lacking}))
        names = ", ".join(row.name for row in lacking)
        raise EmulationError(f"emulation needs {names}: apt-get install {packages}")
    for folder in folders:
        init = Path(folder) / "mininet" / "__init__.py"
        if init.is_file():
            spec = importlib.util.spec_from_file_location(
                "mininet", init, submodule_search_locations=[str(init.parent)]
            )
            assert spec is not None
            assert spec.loader is not None
            package = importlib.util.module_from_spec(spec)
            sys.modules["mininet"] = package
            spec.loader.exec_module(package)
            return
    raise EmulationError("Mininet's Python package is missing: apt-get install mininet")
