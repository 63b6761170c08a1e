"""Pages of the documentation that are written from what the project holds, not by hand.

`docs/conf.py` calls them when the pages are built; `python -m experiments.pages FOLDER` writes them
elsewhere. Nothing is run: numbers come from recorded results alone, so the pages are the same on
every machine but for experiments whose inputs are absent there, and these say so.
"""
