"""What this machine has, what each lack means, and what to install.

`capabilities` is what experiments and tests ask; `show` is the command.
"""

from __future__ import annotations

from experiments.doctor.display import show
from experiments.doctor.survey import (
    CAPABILITY_NAMES,
    Capability,
    capabilities,
    capability,
)

__all__ = ["CAPABILITY_NAMES", "Capability", "capabilities", "capability", "show"]
