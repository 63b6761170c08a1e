"""Sphinx configuration: MyST pages, Furo theme; no network. Generated pages are written first."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "Triptych"
author = "The Triptych authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Triptych"
exclude_patterns = ["_build", "examples"]
nitpicky = True


def write_generated(_app):
    from sphinx.errors import ExtensionError

    from experiments.pages.write import GENERATED, write_pages

    if troubles := write_pages(GENERATED):
        raise ExtensionError("pictures that could not be drawn: " + "; ".join(troubles))


def setup(app):
    app.connect("builder-inited", write_generated)
