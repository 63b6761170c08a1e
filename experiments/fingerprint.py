"""Fingerprint of the code behind a run: the sources that its modules import, transitively.

Read from the text (also imports inside functions), so nothing is imported. Files of a folder
`source` beside a module, such as C++ templates, belong to it, and so do weights and rules that its
text names (`"gentle.rule"`) and its folder, a folder beside it or beside a module of a neighbouring
package holds. Libraries are not part of it: their versions are in the run's provenance.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from experiments.paths import PACKAGES, ROOT

DATA = (".rule", ".safetensors")
NAME = re.compile(r"[\w.-]+(\.rule|\.safetensors)")


def fingerprint(entry_files: Iterable[Path]) -> str:
    """Return a hash over `entry_files` and every project file they import, in any order."""
    digest = hashlib.sha256()
    for path in sorted(closure(entry_files)):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        digest.update(f"{name}\0{_content_hash(path, path.stat().st_mtime_ns)}\n".encode())
    return digest.hexdigest()


def closure(entry_files: Iterable[Path]) -> set[Path]:
    """Return `entry_files`, all project files that they import, directly or not, and their data."""
    found: set[Path] = set()
    waiting = [path.resolve() for path in entry_files]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            found.update(file for file in path.parent.glob("source/*") if file.is_file())
            found.update(data_of(path))
            waiting.extend(imports_of(path))
    return found


def imports_of(path: Path) -> list[Path]:
    """Return the project files that `path` imports anywhere in its text."""
    return list(_imports(path, path.stat().st_mtime_ns))


def data_of(path: Path) -> set[Path]:
    """Return the data files that the text of `path` names.

    They lie beside it, or in a folder beside it or a neighbour, a package in the same package.
    """
    names = _data_names(path, path.stat().st_mtime_ns)
    if not names:
        return set()
    folders, home = {path.parent, *path.parent.glob("*/")}, path.parent.parent
    if home.is_relative_to(ROOT) and home != ROOT:
        folders.update(home.glob("*/*/"))
    files = (folder / name for folder in folders for name in names)
    both = (part for file in files for part in (file, file.with_suffix(".json")))
    return {part for part in both if part.is_file()}


@functools.lru_cache(maxsize=4096)
def _content_hash(path: Path, _mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.lru_cache(maxsize=4096)
def _data_names(path: Path, _mtime_ns: int) -> tuple[str, ...]:
    text = path.read_bytes()
    if not any(suffix.encode() in text for suffix in DATA):
        return ()
    strings = (n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant))
    return tuple(s for s in strings if isinstance(s, str) and NAME.fullmatch(s))


@functools.lru_cache(maxsize=4096)
def _imports(path: Path, _mtime_ns: int) -> tuple[Path, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node.level, node.module)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    files = (file for name in names for file in _files_of(name))
    return tuple(sorted(set(files) - {path}))


def _absolute(path: Path, level: int, module: str | None) -> str:
    parents = path.relative_to(ROOT).parts[:-level] if level and path.is_relative_to(ROOT) else ()
    return ".".join([*parents, module] if module else parents)


def _files_of(module: str) -> Iterable[Path]:
    """Yield the file of `module` and the `__init__` of each package on the way to it."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:depth])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file
