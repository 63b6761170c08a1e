"""The error of emulation: what cannot be built here, or did not come out as asked."""

from __future__ import annotations


class EmulationError(RuntimeError):
    """Something that cannot be emulated; one line that names the part and what to do."""
