"""The spaces of one environment, from its batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from sim.net.envs.batch import Batch


def observation_space(batch: Batch) -> Any:
    """Return Box[history * features], the oldest interval first."""
    return spaces.Box(batch.low, batch.high, dtype=np.float32)


def action_space(batch: Batch) -> Any:
    """Return Box[1]: how to change the rate."""
    limit = batch.model.ACTION_LIMIT
    return spaces.Box(-limit, limit, (1,), dtype=np.float32)
