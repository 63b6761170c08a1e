"""Controllers whose decisions come from a network that was trained in `triptych/Pcc-v1`.

Features, history, warm-up, intervals and actions are the environment's own (`interval_features`,
`steering`, and the parameters beside the weights). On the same link with the same luck, told the
first rate and the first interval, a controller and the environment agree in every interval and in
every rate, bit for bit, as long as both evaluate the network by `networks.forward` and the bound on
the environment's rate by its link's capacity is not reached. Observations are rounded to float32,
as the environment's are; the network is evaluated in float64, with its float32 weights. Where the
environment is driven by a network in float32, actions differ by some 1e-6, and after many intervals
a packet may fall on the other side of an interval's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion.base import STATE
from policies.congestion.hooks import hook
from policies.congestion.network_files import Trained, read_trained
from policies.congestion.networks import forward
from policies.congestion.observing import behind, forget, observed, remember
from policies.congestion.steering import (
    AFTER,
    COLUMNS,
    CONSTANTS,
    DEFAULTS,
    WARMUP_LEFT,
    Steered,
    act,
    begin,
    take_in,
)

# Constants: what is observed, then the network as `networks.packed` leaves it.
OBSERVED = CONSTANTS
INPUT = AFTER
"""First column of the history, the oldest interval first; hidden layers and output follow it."""


@njit(cache=True)
def decide(state: Any, constants: Any) -> None:
    """Change the rate by the network's action on the history."""
    network = behind(constants, OBSERVED)
    act(state, state[forward(state, INPUT, constants, network)], constants)


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin with an empty history; without a warm-up, act on it at once."""
    begin(state, flow, constants)
    forget(state, INPUT, constants, OBSERVED)
    if state[WARMUP_LEFT] <= 0.0:
        decide(state, constants)


@hook
def on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Take the interval in; once the warm-up is over, act."""
    if take_in(state, interval, constants):
        remember(state, INPUT, interval, constants, OBSERVED)
    if state[WARMUP_LEFT] <= 0.0:
        decide(state, constants)


class Learned(Steered):
    """Base of controllers with a network: `class Mine(Learned, weights=Path("mine.safetensors"))`.

    The files are read when the class is made. Parameters are those of `steering.Steered`; what the
    network was trained with are their defaults.
    """

    name = "learned"
    trained: ClassVar[Trained]
    init = init
    on_interval = on_interval

    def __init_subclass__(cls, weights: Path, **rest: Any) -> None:
        """Read the network.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is damaged, or a parameter out of range; the message names it.
        """
        super().__init_subclass__(**rest)
        cls.trained = read_trained(weights)
        names = (f"value_{i}" for i in range(sum(cls.trained.layers)))
        cls.state = (*STATE, *COLUMNS, *names)
        cls.parameters = DEFAULTS | dict(cls.trained.parameters)
        cls.attribution = cls.trained.attribution
        try:
            cls.constants({})
        except ValueError as error:
            raise ValueError(f"{weights.with_suffix('.json')}: {error}") from None

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the parameters, what is observed, and the network.

        Raises:
            ValueError: a parameter is unknown, not finite or out of range; the message names it.
        """
        own = super().constants(parameters)
        return np.concatenate([own, observed(cls.trained), cls.trained.network])
