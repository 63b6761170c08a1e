"""The numbers of the kernel simulator that are neither a GPU's nor a kernel's.

They are round numbers from documentation and common knowledge of these machines, fixed before the
model met any measurement of whole kernels; none was fitted. How sure a result is of them can be
asked: `varied` draws each anew within a quarter up or down, and what a ratio does under such draws
is its interval in the experiments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

SPREAD = 1.25
"""Constants are drawn between 1 / SPREAD and SPREAD of their values."""
_SHARES = ("dram_share", "l2_share", "cached_share")


@dataclass(frozen=True)
class Constants:
    """What is the same for all GPUs and kernels.

    Attributes:
        launch_s: from one kernel's end to the next one's start on a stream.
        dram_share: of the memory's peak rate, what a streaming kernel gets.
        l2_share: of the L2's peak rate, for sectors do not fall on its slices evenly.
        cached_share: of the L2: an operand up to it stays while others stream by.
        latency: cycles from a load's issue to its data, served by the L2 under load.
        fill: cycles until the first tile is there: block start, pointers, a read of DRAM.
        barrier: cycles of a threadblock's barrier, once per step along the depth.
        lock: cycles until a threadblock sees that the part of K before its own is added.
        smooth: exponent of the smooth maximum; at 3, two equal loads take 1.26 times one.
        plain_instructions: per access to global memory: its predicate and address.
        gather_instructions: the same where every access computes its own address.
        loop_instructions: per warp and step: counters, pointers, barrier.
    """

    launch_s: float = 4e-6
    dram_share: float = 0.85
    l2_share: float = 0.8
    cached_share: float = 0.5
    latency: float = 300.0
    fill: float = 700.0
    barrier: float = 30.0
    lock: float = 700.0
    smooth: float = 3.0
    plain_instructions: float = 4.0
    gather_instructions: float = 8.0
    loop_instructions: float = 30.0

    def smooth_max(self, *values: float) -> float:
        """Return the l-norm: at least the largest, a little more where others come near."""
        largest = max(values)
        if largest <= 0.0:
            return 0.0
        total = sum((value / largest) ** self.smooth for value in values)
        return largest * total ** (1.0 / self.smooth)


STANDARD = Constants()


def varied(luck: np.random.Generator) -> Constants:
    """Return constants of which each is drawn log-uniformly around its value; shares up to 1."""
    drawn = {
        field.name: getattr(STANDARD, field.name) * SPREAD ** luck.uniform(-1.0, 1.0)
        for field in fields(STANDARD)
    }
    return replace(STANDARD, **drawn | {name: min(1.0, drawn[name]) for name in _SHARES})
