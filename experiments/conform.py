"""`triptych conform`: a policy of the user's own against the laws that every policy here obeys."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from experiments.json_output import Json, print_json


def conform(
    file: Annotated[
        Path, typer.Argument(help="a Python file with @register, or a .rule; Python runs")
    ],
    json: Json = False,
) -> None:
    """Put a policy of yours to the laws that every policy here obeys, and say what is wrong."""
    from experiments.laws import laws_of, lines_of

    laws = laws_of(file)
    if json:
        print_json({"schema": 1, "laws": [asdict(law) for law in laws]})
    else:
        print("\n".join(lines_of(laws)))
    if not all(law.kept for law in laws):
        raise typer.Exit(1)
