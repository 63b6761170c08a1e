"""Where CUTLASS's headers are: in the package `nvidia-cutlass`, or in a checkout of the library."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from pathlib import Path

VARIABLE = "TRIPTYCH_CUTLASS"
PARTS = ("include", "tools/util/include", "examples/13_two_tensor_op_fusion")
"""Folders that sources include from; the last holds the back-to-back kernels."""
VERSION_FILE = "include/cutlass/version.h"
FIX = (
    "pip install -c constraints.txt -e '.[cutlass]', or set "
    f"{VARIABLE} to a checkout of CUTLASS 4.2"
)


class NoHeadersError(RuntimeError):
    """CUTLASS's headers are not here; the message says how to get them."""


@functools.cache
def root() -> Path:
    """Return the folder that holds `include`, `tools` and `examples`.

    Nothing of the package is imported: it asks for CUDA's Python bindings, which need a driver.

    Raises:
        NoHeadersError: they are not here.
    """
    given = os.environ.get(VARIABLE)
    if given:
        place = Path(given)
    else:
        package = importlib.util.find_spec("cutlass_library")
        folders = package.submodule_search_locations if package else None
        if not folders:
            raise NoHeadersError(f"CUTLASS's headers are not here: {FIX}")
        place = Path(next(iter(folders))) / "source"
    for part in (*PARTS, VERSION_FILE):
        if not (place / part).exists():
            raise NoHeadersError(f"{place} has no {part}: {FIX}")
    return place


def folders() -> tuple[str, ...]:
    """Return the folders to search for headers, the library's own first.

    Raises:
        NoHeadersError: they are not here.
    """
    return tuple(str(root() / part) for part in PARTS)


def version() -> tuple[int, ...]:
    """Return the library's version, such as (4, 2, 0).

    Raises:
        NoHeadersError: the headers are not here, or do not say.
    """
    text = (root() / VERSION_FILE).read_text(encoding="utf-8", errors="replace")
    found = dict(re.findall(r"#define CUTLASS_(MAJOR|MINOR|PATCH) +(\d+)", text))
    if len(found) != 3:
        raise NoHeadersError(f"{root() / VERSION_FILE} names no version: {FIX}")
    return tuple(int(found[part]) for part in ("MAJOR", "MINOR", "PATCH"))
