"""Timing of candidates (Bolt section 3.2.2, "light-weight profiler")."""

from tuning.profile.errors import NothingMeasuredError, TooLargeError
from tuning.profile.lock import measuring
from tuning.profile.profiler import Profiler
from tuning.profile.settings import ProfileSettings

__all__ = ["NothingMeasuredError", "ProfileSettings", "Profiler", "TooLargeError", "measuring"]
