"""Where compiled functions are kept: a folder named after the sources that they come from.

numba's own cache looks at the file of the cached function only, so a change in a function that it
calls, in another file, would go unnoticed. Here any change to any source that numba compiles leads
to another folder. Invoked by the `__init__` of each package that holds compiled functions, before
numba is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sim", "policies", "serving")
IMPORTS = re.compile(rb"^from ([\w.]+) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
WORDS = re.compile(rb"\w+")
TIMES = ".seconds.json"
KEPT = 4
"""Folders of earlier sources that stay, for those who switch between branches."""


def use() -> None:
    """Point numba to the folder; do nothing where the user has chosen one or none can be made."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("TRIPTYCH_CACHE") or ROOT / ".cache").absolute() / "numba"
    folder = home / source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError:
        return
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:  # it has read its environment already
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    with contextlib.suppress(OSError):  # another process may be pruning as well
        _prune(home)


def note(name: str, seconds: float) -> None:
    """Keep beside the compiled code how long compiling a part of it took on this machine."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder:
        return
    with contextlib.suppress(OSError):  # a full disk must not stop a run for a note
        partial = Path(folder) / f".{name}.{os.getpid()}"
        partial.write_text(json.dumps(round(seconds, 1)), encoding="utf-8")
        partial.replace(Path(folder) / f"{name}{TIMES}")


def compiled() -> dict[str, tuple[float, bool]]:
    """Return part -> (seconds that compiling it took, whether that code still is in use)."""
    home = Path(os.environ.get("TRIPTYCH_CACHE") or ROOT / ".cache").absolute() / "numba"
    current = Path(os.environ.get("NUMBA_CACHE_DIR") or home / source_hash())
    found: dict[str, tuple[float, bool]] = {}
    notes = [*home.glob(f"*/*{TIMES}"), *current.glob(f"*{TIMES}")]
    for path in sorted(notes, key=lambda path: path.parent == current):
        try:
            seconds = float(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        found[path.name.removesuffix(TIMES)] = seconds, path.parent == current
    return found


def source_hash() -> str:
    """Return a hash over every source that compiled code can come from.

    These are the sources that speak of numba or declare hooks, and all of ours that they import,
    directly or not: a constant in a plain module becomes part of the code that names it.
    """
    digest = hashlib.sha256()
    for name, text in sorted(_compiled_sources().items()):
        digest.update(name.encode() + b"\0" + text + b"\0")
    return digest.hexdigest()[:16]


def _compiled_sources() -> dict[str, bytes]:
    """Return module name -> text."""
    texts = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_bytes()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    found: dict[str, bytes] = {}
    pending = [name for name, text in texts.items() if b"numba" in text or b"import hook" in text]
    while pending:
        if (name := pending.pop()) not in found and name in texts:
            found[name] = texts[name]
            for package, names in IMPORTS.findall(texts[name]):
                base = package.decode()
                pending += [base, *(f"{base}.{n.decode()}" for n in WORDS.findall(names))]
    return found


def _prune(home: Path) -> None:
    folders = sorted(home.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in folders[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
