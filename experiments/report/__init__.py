"""The report: one HTML file with figures, claims, data and provenance, open from the disk."""

from experiments.report.entry import Entry
from experiments.report.write import write_report

__all__ = ["Entry", "write_report"]
