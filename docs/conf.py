"""Sphinx configuration: MyST pages, Furo theme; no network, no extensions that run code."""

project = "Triptych"
author = "The Triptych authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Triptych"
exclude_patterns = ["_build"]
nitpicky = True
