"""Tables for people, on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.progress import duration

if TYPE_CHECKING:
    from experiments.catalog import Entry
    from experiments.claims import Check
    from experiments.listing import State

STATE_STYLE = {"done": "green", "failed": "red", "stale": "yellow", "partial": "cyan"}
VERDICT_STYLE = {"reproduced": "green", "deviates": "red", "unconfirmed": "yellow"}
SIZES = ("quick", "standard", "paper")


def experiments_table(
    entries: Sequence[Entry], states: Mapping[str, State], size: str, present: set[str]
) -> None:
    """Print what `triptych list` shows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("experiment", "as in the paper", "question", "needs", "time q/s/p", "state"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        state = states[entry.id]
        lacks = [need for need in entry.needs if need not in present]
        needs = Text(", ".join(entry.needs) or "CPU", style="red" if lacks else "")
        count = f"{state.word} {state.done}/{state.planned} ({size})"
        table.add_row(
            entry.id,
            entry.artefact,
            entry.question,
            needs,
            " / ".join(duration(entry.seconds[name]) for name in SIZES),
            Text(count, style=STATE_STYLE.get(state.word, "dim")),
        )
    console().print(table)


def claims_table(checks: Sequence[Check]) -> None:
    """Print what `triptych claims` shows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("claim", "statement", "paper, here", "verdict"):
        table.add_column(name, overflow="fold")
    for check in checks:
        verdict = check.verdict.replace("_", " ") + (" (stale)" if check.stale else "")
        style = VERDICT_STYLE.get(check.verdict, "dim")
        name = f"{check.manifest.id}#{check.claim.id}"
        sentence = check.sentence().rsplit(":", 1)[0]
        table.add_row(name, check.claim.statement, sentence, Text(verdict, style=style))
    console().print(table)


def console() -> Console:
    """Return a console that does not cut lines where the output is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=200)
