"""Set-up of a checkout: environment, lock, external programs. Needs nothing but Python."""

from __future__ import annotations


class SetupError(RuntimeError):
    """Something that set-up cannot do here; the message is one line and names the remedy."""
