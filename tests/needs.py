"""The one way in which a test skips: for want of external data or of a capability.

The message says what is missing and how to get it. `tests/check_skips.py` reads its beginning,
so a test that skips in any other way fails continuous integration.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from experiments.doctor.survey import Capability, probe
from experiments.paths import data_root


def need_data(relative_path: str) -> Path:
    """Return the path of an external data file or folder; skip the test if it is absent."""
    path = data_root() / relative_path
    if not path.exists():
        pytest.skip(
            f"needs data: {relative_path} is not in {data_root()}; "
            "set TRIPTYCH_DATA to the folder that holds it"
        )
    return path


@functools.cache
def _probed(name: str) -> Capability:
    return probe(name)


def need(name: str) -> Capability:
    """Return a capability of this machine, looked for now; skip the test if it is absent."""
    found = _probed(name)
    if not found.present:
        pytest.skip(f"needs {name}: not on this machine; to have it: {found.fix}")
    return found


def need_emulation() -> None:
    """Skip the test without root; with root, all else that emulation takes must be here."""
    _need_with_root("netns", "mininet", "cc")


def need_datapath() -> None:
    """Skip the test without root; with root, all else that the datapath takes must be here."""
    _need_with_root("netns", "bpf", "clang", "bpftool")


def _need_with_root(*names: str) -> None:
    """Skip without root; fail where a thing is lacking all the same.

    A machine that gives root can have the rest by `apt-get install`: otherwise real packets and
    what runs in the kernel would go untested in silence.
    """
    need("root")
    for name in names:
        if not (found := _probed(name)).present:
            pytest.fail(f"{name} is missing though this is root; to have it: {found.fix}")
