"""What the commands of `triptych` share: their options, and the experiments that they name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from experiments.problems import InputError

if TYPE_CHECKING:
    from experiments.manifest import Manifest
    from experiments.reproduce import Options

SizeName = Literal["quick", "standard", "paper"]
Names = Annotated[
    list[str], typer.Argument(help="experiments, as `list` shows them; globs allowed")
]
AnyNames = Annotated[
    list[str] | None, typer.Argument(help="experiments or globs; all if none is given")
]
SizeOption = Annotated[SizeName, typer.Option("--size", help="how much of it")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would run, and for how long")]
Workers = Annotated[int | None, typer.Option(min=1, max=1024, help="processes; default: all cores")]
Serial = Annotated[bool, typer.Option(help="in this process, one by one, without isolation")]
Cluster = Annotated[str | None, typer.Option(help="address of a Dask scheduler, tcp://host:port")]
Refresh = Annotated[bool, typer.Option(help="redo runs that older code made")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", help="Python file with a policy of yours; its code runs"),
]
Only = Annotated[str | None, typer.Option(help="only the runs whose id starts so")]
Set = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", help="axis=value[,value]: other values, or a further axis"),
]


def options_of(
    workers: int | None = None,
    serial: bool = False,
    cluster: str | None = None,
    refresh: bool = False,
    plugin: list[Path] | None = None,
    only: str | None = None,
) -> Options:
    """Return how runs are computed; plug-ins are loaded.

    Raises:
        InputError: a plug-in cannot be loaded.
    """
    from experiments.reproduce import Options

    return Options(workers, serial, cluster, refresh, _load_plugins(plugin), only)


def _load_plugins(paths: list[Path] | None) -> tuple[Path, ...]:
    from experiments.worker import registries
    from policies.registry import load_plugin

    for path in paths or []:
        print(f"warning: --plugin runs the code of {path}", file=sys.stderr)
        try:
            load_plugin(path, registries())
        except Exception as error:  # a plug-in is a stranger's code and may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise InputError(f"--plugin {path} could not be loaded: {reason}") from None
    return tuple(path.resolve() for path in paths or [])


def manifests_of(names: list[str]) -> list[Manifest]:
    """Return the manifests of the experiments that any of the names or globs match.

    Raises:
        InputError: a name matches nothing.
    """
    from experiments.catalog import entries, manifest_of, select

    return [manifest_of(entry) for entry in select(names, entries())]


def manifest_or_file(name: str) -> Manifest:
    """Return the manifest of one experiment, or that in a YAML file.

    Raises:
        InputError: there is none, or there are several.
    """
    from experiments.check import load_manifest

    if name.endswith((".yaml", ".yml")):
        return load_manifest(Path(name))
    found = manifests_of([name])
    if len(found) > 1:
        raise InputError(f"{name!r} matches {len(found)} experiments; name one")
    return found[0]


def capabilities_among(needed: set[str]) -> set[str]:
    """Return those of the needed capabilities that this machine has."""
    if not needed:
        return set()
    from experiments.doctor import capabilities

    return {c.name for c in capabilities() if c.present}
