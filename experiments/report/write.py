"""The report's file: template, style and script put into one, with nothing to fetch."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from experiments.files import write_atomic
from experiments.report.entry import Entry
from experiments.report.model import page

_HERE = Path(__file__).resolve().parent


def write_report(entries: Sequence[Entry], path: Path, generated: str = "") -> Path:
    """Write the report on `entries` to `path` and return it.

    Args:
        entries: the experiments, in the order in which they are shown within a panel.
        path: the HTML file.
        generated: date to print; the bytes depend on nothing else but the entries.

    Raises:
        OSError: the file cannot be written.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.get_template("template.html").render(
        **page(entries, generated),
        css=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # Only this very script may run, so text that slipped through unescaped stays inert.
        script_hash=f"sha256-{digest}",
    )
    write_atomic(path, text.encode())
    return path
