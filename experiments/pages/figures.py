"""A page per figure: question, claim, command, picture, verdict; and the list of them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from experiments.figures.render import render
from experiments.kinds.base import KINDS
from experiments.pages.claims_table import claims_of
from experiments.pages.known import Known
from experiments.pages.tables import heading, table
from experiments.paths import FIGURES, ROOT
from experiments.progress import duration

NAMES = {"blendserve": "BlendServe", "symbolicpcc": "SymbolicPCC", "bolt": "Bolt"}
SIZES = ("quick", "standard", "paper")


def pictures(found: Mapping[str, Known], folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Draw what is recorded into `folder`; return id -> picture, and what could not be drawn.

    A picture whose results and code have not changed is left as it is.
    """
    drawn, troubles = {}, []
    for name, one in found.items():
        if one.record is not None:
            figure = render(one.record, folder)
            if figure.svg is None:
                troubles.append(f"{name}: {figure.problem}")
            else:
                drawn[name] = figure.svg.relative_to(folder.parent)
    return drawn, troubles


def page(one: Known, picture: Path | None) -> str:
    """Return the page of one experiment; `picture` is relative to the generated folder."""
    manifest = one.manifest
    lines = heading(1, manifest.title)
    lines += [
        f"**{manifest.question}** `{manifest.id}`, {NAMES[manifest.paper]}, {manifest.artefact}.",
        "",
    ]
    if picture is not None:
        lines += [
            f"![{manifest.title}](../../{picture.as_posix()})",
            "",
            f"*Recorded: {one.made()}.*",
            "",
        ]
    else:
        lines += [
            f"No picture is recorded. {source_of(one)} draws it once the command below has run.",
            "",
        ]
    lines += [*heading(2, "Do it"), "```sh", f"triptych reproduce {manifest.id}", "```", ""]
    times = ", ".join(f"{size} {duration(manifest.size(size).seconds)}" for size in SIZES)
    needs = sorted({*manifest.needs, *KINDS.get(manifest.kind).needs})
    lines += [f"Measured time of the runs: {times}. Needs: {', '.join(needs) or 'a CPU'}.", ""]
    lines += heading(2, "Claims")
    lines += claims_of(one) if one.checks else ["The paper says nothing that could be checked.", ""]
    lines += heading(2, "What is drawn")
    shown = KINDS.get(manifest.kind).metrics
    lines += [f"{figure_says(one)} Drawn by {source_of(one)} from these metrics first:", ""]
    lines += [*(f"- `{name}`: {shown[name]}" for name in manifest.metrics), ""]
    if manifest.policies:
        lines += ["Compared: " + ", ".join(f"`{name}`" for name in manifest.policies) + ".", ""]
    return "\n".join(lines)


def index(found: Mapping[str, Known]) -> str:
    """Return the page that lists the figures, with the tree of pages."""
    lines = [
        *heading(1, "Figures"),
        "One page per experiment: question, picture from recorded results where there are any,"
        " command, claims and verdicts.",
        "",
    ]
    for paper, title in NAMES.items():
        mine = [(name, one) for name, one in found.items() if one.manifest.paper == paper]
        rows = [
            (
                f"[{name.partition('/')[2]}](figures/{name}.md)",
                one.manifest.artefact,
                one.manifest.question,
                "yes" if one.record else "",
            )
            for name, one in mine
        ]
        lines += [
            *heading(2, title),
            *table(("experiment", "in the paper", "asks", "recorded"), rows),
        ]
        lines += [
            "```{toctree}",
            ":hidden:",
            "",
            *(f"figures/{name}" for name, _ in mine),
            "```",
            "",
        ]
    return "\n".join(lines)


def source_of(one: Known) -> str:
    """Return the file that draws an experiment, as code."""
    return f"`{_file(one).relative_to(ROOT)}`"


def figure_says(one: Known) -> str:
    """Return the first sentence of the figure's module."""
    text = ast.get_docstring(ast.parse(_file(one).read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def _file(one: Known) -> Path:
    own = FIGURES / f"{one.manifest.figure}.py"
    return own if own.is_file() else FIGURES / "sweep.py"
