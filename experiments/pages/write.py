"""All generated pages into one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from experiments.files import write_atomic
from experiments.pages import accuracy, claims_table, cost, figures, paper_to_code
from experiments.pages.known import Known, known
from experiments.paths import ROOT

GENERATED = ROOT / "docs" / "generated"

PAGES: dict[str, Callable[[Mapping[str, Known]], str]] = {
    "accuracy": accuracy.page,
    "claims": claims_table.page,
    "cost": cost.page,
    "figures": figures.index,
    "paper-to-code": paper_to_code.page,
}


def write_pages(folder: Path) -> list[str]:
    """Write every page below `folder`; return what is wrong with pictures, one line each.

    Pages that nothing makes any more are removed, so that no link leads to them.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a marker in the code names a section that the papers do not have.
    """
    found = known()
    texts = {f"{name}.md": make(found) for name, make in PAGES.items()}
    pictures, troubles = figures.pictures(found, folder / "images")
    for name, one in found.items():
        texts[f"figures/{name}.md"] = figures.page(one, pictures.get(name))
    for stale in set(folder.rglob("*.md")) - {folder / name for name in texts}:
        stale.unlink()
    for name, text in texts.items():
        path, content = folder / name, text.encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)
    return troubles


def clear(folder: Path) -> None:
    """Remove what `write_pages` wrote."""
    shutil.rmtree(folder, ignore_errors=True)
