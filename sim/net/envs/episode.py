"""What the state of a link says about its episode, whatever the model of the link."""

from __future__ import annotations

import numpy as np

IDLE, STEP, WARM_UP = 0, 1, 2

EPISODE = [
    ("stream", np.uint64),  # of this environment
    ("episode", np.int64),  # episodes begun
    ("steps", np.int64),
    ("base", np.int64),  # where its stretch of the tapes begins,
    ("room", np.int64),  # and how many packets that holds
    # From here on, words that `Batch` reads of every link after every step, in one pass.
    ("phase", np.int64),  # IDLE, or what it goes on with once there is room
    ("left", np.int64),  # intervals still to run in this phase
    ("truncated", np.int64),  # whether the last step ended an episode
    ("reward", np.float64),  # of the last step, as the four below
    ("measured_rate", np.float64),  # bits/s that it was told to send
    ("throughput", np.float64),  # bits/s acknowledged
    ("latency", np.float64),  # mean RTT, s; 0 without a sample
    ("loss_share", np.float64),
]
_NAMES = [name for name, _ in EPISODE]
TOLD = _NAMES[_NAMES.index("phase") :]
