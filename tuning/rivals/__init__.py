"""Vendor libraries, and the contest between them, MetaSchedule and the templates."""

from tuning.rivals.base import Prepared, Vendor, thread_variables
from tuning.rivals.contest import contest
from tuning.rivals.entrant import Entrant
from tuning.rivals.timing import Ratio, Timing, fastest, paired_ratio
from tuning.rivals.vendors import VENDORS

__all__ = [
    "VENDORS",
    "Entrant",
    "Prepared",
    "Ratio",
    "Timing",
    "Vendor",
    "contest",
    "fastest",
    "paired_ratio",
    "thread_variables",
]
