"""Controllers with several networks, and a rule that says before each decision whose acts.

The networks were trained in `triptych/Pcc-v1` for links of different kinds and observe the same
history (`observing`); the decider is a rule over the table of rule inputs (`asking`), and its
answer is the number of a network. So a flow keeps both, and evaluates one network per decision.
Everything else is as in `learned`. On the same link with the same luck the sender and
`policies.distill.actors.Branched` agree in every interval and in every rate, bit for bit, under the
conditions that `learned` names.

S P Sharan et al., "Symbolic Distillation for Learned TCP Congestion Control", NeurIPS 2022, Fig. 3:
an agent for each context and a decider; there the agents are distilled before they act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion.asking import ASKED, ask, asked, begin_table, note
from policies.congestion.base import STATE
from policies.congestion.hooks import hook
from policies.congestion.network_files import Trained, read_trained
from policies.congestion.networks import forward
from policies.congestion.observing import forget, observed, remember
from policies.congestion.rule_inputs import INPUTS
from policies.congestion.steering import (
    COLUMNS,
    CONSTANTS,
    DEFAULTS,
    WARMUP_LEFT,
    Steered,
    act,
    begin,
    take_in,
)
from policies.rules.parse import read_rule
from policies.rules.rule import Rule

COLUMN = CONSTANTS
"""First column of the history in the state; hidden layers and output follow it."""
OBSERVED, DECIDER, FIRST_NETWORK = range(CONSTANTS + 1, CONSTANTS + 4)
"""Places in the constants where what is observed, the decider, and each of the networks lies."""
SHARED = ("features", "history", "attribution", "parameters")
"""What networks of one sender must have in common."""


@njit(cache=True)
def decide(state: Any, constants: Any) -> None:
    """Change the rate by the action of the network that the decider names."""
    column = int(constants[COLUMN])
    number = int(np.rint(ask(state, ASKED, constants, int(constants[DECIDER]))))
    network = int(constants[FIRST_NETWORK + number])
    act(state, state[forward(state, column, constants, network)], constants)


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin with a table and a history in which nothing happened; without a warm-up, act."""
    begin(state, flow, constants)
    begin_table(state)
    forget(state, int(constants[COLUMN]), constants, int(constants[OBSERVED]))
    if state[WARMUP_LEFT] <= 0.0:
        decide(state, constants)


@hook
def on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Take the interval in; once the warm-up is over, decide whose turn it is, and act."""
    if take_in(state, interval, constants):
        note(state, interval)
        remember(state, int(constants[COLUMN]), interval, constants, int(constants[OBSERVED]))
    if state[WARMUP_LEFT] <= 0.0:
        decide(state, constants)


class Specialised(Steered):
    """Base: `class Mine(Specialised, decider=Path("which.rule"), networks=[a, b])`.

    The files are read when the class is made. Parameters are those of `steering.Steered`; what the
    networks were trained with are their defaults.
    """

    name = "specialised"
    decider: ClassVar[Rule]
    trained: ClassVar[tuple[Trained, ...]]
    layout: ClassVar[NDArray[np.float64]]
    init = init
    on_interval = on_interval

    def __init_subclass__(cls, decider: Path, networks: Sequence[Path], **rest: Any) -> None:
        """Read decider and networks; the decider's answer k means the network number k.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is damaged, the networks observe or act differently, the decider
                may name a network that there is not, or a parameter is out of range.
        """
        super().__init_subclass__(**rest)
        cls.decider = read_rule(decider)
        if not networks or cls.decider.low < 0 or cls.decider.high > len(networks) - 1:
            raise ValueError(
                f"{decider}: action must lie within [0, {len(networks) - 1}], the numbers of "
                f"{len(networks)} networks, got [{cls.decider.low:g}, {cls.decider.high:g}]"
            )
        cls.trained = tuple(read_trained(path) for path in networks)
        first = cls.trained[0]
        _demand_alike(cls.trained, networks)
        question, columns = asked(cls.decider, str(decider))
        names = (f"value_{i}" for i in range(max(sum(one.layers) for one in cls.trained)))
        cls.state = (*STATE, *COLUMNS, *INPUTS, *columns, *names)
        cls.layout = _laid_out(ASKED + len(columns), question, cls.trained)
        cls.parameters = DEFAULTS | dict(first.parameters)
        cls.attribution = first.attribution
        try:
            cls.constants({})
        except ValueError as error:
            raise ValueError(f"{networks[0].with_suffix('.json')}: {error}") from None

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the parameters, what is observed, the decider, and the networks.

        Raises:
            ValueError: a parameter is unknown, not finite or out of range; the message names it.
        """
        return np.concatenate([super().constants(parameters), cls.layout])


def _demand_alike(trained: Sequence[Trained], paths: Sequence[Path]) -> None:
    """Raise ValueError unless the networks observe the same, and act alike."""
    for path, one in zip(paths, trained, strict=True):
        for name in SHARED:
            own, wanted = getattr(one, name), getattr(trained[0], name)
            if own != wanted:
                raise ValueError(
                    f"{path.with_suffix('.json')}: {name} must be those of {paths[0].name}, "
                    f"{wanted}, got {own}"
                )


def _laid_out(
    column: int, question: NDArray[np.float64], trained: Sequence[Trained]
) -> NDArray[np.float64]:
    """Return the constants from CONSTANTS on: places, then what lies there."""
    parts = [np.array(observed(trained[0])), question, *(one.network for one in trained)]
    heads = 1 + len(parts)
    ends = np.cumsum([CONSTANTS + heads, *(len(part) for part in parts)])
    return np.concatenate([[column], ends[:-1], *parts])
