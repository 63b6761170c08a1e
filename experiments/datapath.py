"""`triptych datapath`: congestion control inside the kernel, by a rule or asked of a controller."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.json_output import Json, print_json
from experiments.problems import InputError

app = typer.Typer(
    help="Run a rule, or any controller that acts per monitor interval, as a TCP congestion"
    " control of this machine's kernel.",
    epilog="Example: triptych datapath load policies/congestion/rules/gentle.rule; then"
    " iperf3 -c HOST -C tri_gentle; then triptych datapath unload tri_gentle."
    " Needs root, Linux 6.10, clang and bpftool; see docs/datapath.md.",
    no_args_is_help=True,
)

What = Annotated[
    str,
    typer.Argument(
        metavar="RULE",
        help="a .rule file, which runs in the kernel; or the name of a controller, such as vivace,"
        " which an agent in user space asks",
    ),
]
Name = Annotated[
    str | None, typer.Option(help="what sockets ask for, at most 15 letters; default: tri_RULE")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", help="name=number, such as start_bps=2e6 or delta=0.05"),
]


@app.command()
def build(what: What, name: Name = None, parameter: Parameters = None, json: Json = False) -> None:
    """Compile a rule for the running kernel, without loading it; no root is needed."""
    with _told():
        from emu.datapath.build import build as make
        from emu.datapath.requests import read_request

        request = read_request(_absolute(what), name, parameter or [])
        path = make(request.settings, request.decision)
    _say({"name": request.settings.name, "what": request.what, "object": str(path)}, json)


@app.command()
def load(
    what: What,
    name: Name = None,
    parameter: Parameters = None,
    watch: Annotated[
        bool, typer.Option(help="stay, and print each decision as a line of JSON, until Ctrl-C")
    ] = False,
    json: Json = False,
) -> None:
    """Load and register it, held by a process of its own until `unload`.

    With --watch it is held by this command and gone when the command ends, however that happens.
    """
    with _told():
        from emu.datapath import holder, requests

        if watch:
            return _watch(requests.read_request(_absolute(what), name, parameter or []))
        answer = holder.start(_absolute(what), name, parameter or [])
    _say(answer, json)


@app.command()
def unload(
    name: Annotated[str | None, typer.Argument(help="as `list` shows it")] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="clear away what ended processes left")
    ] = False,
    json: Json = False,
) -> None:
    """End what `load` began; registrations that others made are never touched."""
    if (name is None) == (not stale):
        raise InputError("say either the name of a datapath or --stale")
    with _told():
        from emu.datapath import registry

        if name is None:
            return _say({"cleared": registry.reap()}, json)
        registry.end(name)
    _say({"unloaded": name}, json)


@app.command("list")
def list_(json: Json = False) -> None:
    """Show what is loaded, what decides in it, and the process that holds it."""
    with _told():
        from emu.datapath import registry

        rows = [entry for entry in registry.entries() if entry.lives]
    if json:
        return print_json({"schema": 1, "datapaths": [vars(row) for row in rows]})
    for row in rows:
        print(f"{row.name:16} {row.what:32} process {row.pid}")
    if not rows:
        print("nothing is loaded", file=sys.stderr)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0.1, max=10_000.0, help="how long")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="of all that is random")] = 0,
) -> None:
    """Strain emulation and datapath, and look after every lap for what is left over.

    Flows of all kinds run in private worlds, some of which are killed; loaders are killed at random
    beside them. Each lap is a line of JSON, the last line sums up. Exit code 1: something leaked.
    """
    with _told():
        from emu.datapath import machine
        from emu.soak.running import soak as run

        machine.check_load()
        machine.check_build()
        told = run(60.0 * minutes, seed, lambda row: print(jsonlib.dumps(row), flush=True))
    print(jsonlib.dumps({"schema": 1, **vars(told)}))
    if told.leaks:
        raise typer.Exit(1)


def _watch(request: Any) -> None:
    from emu.datapath.holder import hold
    from emu.datapath.watching import line

    def ready() -> None:
        print(f"{request.settings.name} is loaded; Ctrl-C ends it", file=sys.stderr)

    hold(request, ready, lambda record: print(line(record), flush=True))


def _absolute(what: str) -> str:
    """Return a rule's path so that it holds in any folder; names of controllers as they are."""
    return str(Path(what).absolute()) if what.endswith(".rule") else what


@contextmanager
def _told() -> Iterator[None]:
    """Turn what cannot be done into one line and exit code 2."""
    from emu.datapath.problems import DatapathError

    try:
        yield
    except DatapathError as error:
        raise InputError(str(error)) from None


def _say(answer: dict[str, Any], json: bool) -> None:
    if json:
        return print_json({"schema": 1, **answer})
    print(", ".join(f"{key} {value}" for key, value in answer.items()))
