"""Figures: one file per experiment, drawn in one style from the table of its runs."""
