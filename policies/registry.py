"""Names of policies and run kinds: a folder of files, each with a `@register("name")`.

Names are read from the source text, so that listing and checking them imports nothing; a file
is imported when its entry is asked for. A plug-in file outside the repository is executed at
once, by explicit request only.
"""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=type)
ROOT = Path(__file__).resolve().parents[1]


class BrokenSourceError(ValueError):
    """A file among the policies that is not Python text; the message names it and the line."""


class UnknownNameError(LookupError):
    """A name that no registry entry carries; the message offers the nearest ones."""

    def __init__(self, noun: str, name: str, allowed: Iterable[str]) -> None:
        self.noun, self.name, self.allowed = noun, name, sorted(allowed)
        near = nearest(name, self.allowed)
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(f"unknown {noun} {name!r}{hint} (known: {', '.join(self.allowed)})")


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """Return the entry of `allowed` that looks most like `name`, if any does."""
    found = difflib.get_close_matches(str(name)[:80], list(allowed), n=1, cutoff=0.5)
    return found[0] if found else None


@functools.lru_cache(maxsize=1024)
def _names_in(path: Path, _mtime_ns: int) -> tuple[str, ...]:
    try:
        if "@register(" not in (text := path.read_text(encoding="utf-8")):
            return ()
        body = ast.parse(text, filename=str(path)).body
    except (SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or a null byte
        raise BrokenSourceError(f"{path}: is not Python: {error}") from None
    names = []
    for node in body:
        for call in getattr(node, "decorator_list", []):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "register":
                continue
            if call.args and isinstance(call.args[0], ast.Constant):
                names.append(str(call.args[0].value))
    return tuple(names)


@functools.lru_cache(maxsize=64)
def _files_in(folder: Path, _mtime_ns: int) -> tuple[Path, ...]:
    """Return the modules of a folder; one that comes or goes changes the folder's time."""
    return tuple(sorted(folder.glob("*.py")))


def _place(entry: type) -> tuple[str, str]:
    return entry.__module__, entry.__qualname__


class Registry(Generic[T]):
    """Entries of one kind, keyed by name; `noun` is what messages call such an entry."""

    def __init__(self, package: str, noun: str) -> None:
        self.package, self.noun = package, noun
        self._loaded: dict[str, T] = {}
        self._plugins: dict[str, Path] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Class decorator: make the class known as `name`.

        Raises:
            ValueError: another class has that name already.
        """

        def add(entry: T) -> T:
            known = self._loaded.get(name)
            if known is not None and _place(known) != _place(entry):
                raise ValueError(f"two {self.noun} entries are called {name!r}")
            if known is None and name in self.paths() and not self._is_home(name, entry):
                raise ValueError(f"{self.noun} {name!r} exists in {self.paths()[name]}")
            self._loaded[name] = entry
            entry.name = name  # type: ignore[attr-defined]
            return entry

        return add

    def _is_home(self, name: str, entry: type) -> bool:
        source = sys.modules[entry.__module__].__file__
        return source is not None and Path(source).resolve() == self.paths()[name]

    def paths(self) -> dict[str, Path]:
        """Return name -> file of every entry, plug-ins included; nothing is imported."""
        folder = ROOT.joinpath(*self.package.split("."))
        found = {
            name: path
            for path in _files_in(folder, folder.stat().st_mtime_ns)
            for name in _names_in(path, path.stat().st_mtime_ns)
        }
        return found | self._plugins

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self.paths())

    def check(self, name: str) -> str:
        """Return `name` if it is known.

        Raises:
            UnknownNameError: it is not.
        """
        paths = self.paths()
        if name not in paths:
            raise UnknownNameError(self.noun, name, paths)
        return name

    def get(self, name: str) -> T:
        """Import the file of `name` if need be and return its class.

        Raises:
            UnknownNameError: no entry has that name.
        """
        self.check(name)
        if name not in self._loaded:
            importlib.import_module(f"{self.package}.{self.paths()[name].stem}")
        return self._loaded[name]

    def adopt(self, path: Path) -> list[str]:
        """Note the names that the plug-in file `path` registers here (it must be loaded)."""
        mine = [n for n in _names_in(path, path.stat().st_mtime_ns) if n in self._loaded]
        self._plugins.update({name: path for name in mine})
        return mine


def load_plugin(path: str | Path, registries: Iterable[Registry[Any]]) -> list[str]:
    """Execute a plug-in file and return the names that it registered.

    This runs the file's code: never call it on a path that a manifest or a data file named.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file registers nothing.
    """
    source = Path(path).resolve()
    if not source.is_file():
        raise FileNotFoundError(f"plug-in {source} is not a file")
    mark = hashlib.sha256(str(source).encode()).hexdigest()[:8]
    module_name = f"triptych_plugin_{source.stem}_{mark}"
    if getattr(sys.modules.get(module_name), "__file__", None) != str(source):
        spec = importlib.util.spec_from_file_location(module_name, source)
        if spec is None or spec.loader is None:
            raise ValueError(f"plug-in {source} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    names = [name for registry in registries for name in registry.adopt(source)]
    if not names:
        raise ValueError(f"plug-in {source} registers no policy and no run kind")
    return names
