"""Controllers whose decisions come from a symbolic rule, a file of text in `rules/`.

Once per monitor interval the rule, an arithmetic expression over the inputs of `rule_inputs`, gives
an action in [-1, 1]; warm-up, intervals and what an action does to the rate are those of
`steering`, so that a rule takes a network's place (`learned`) in the same sender. The
language is `policies.rules`; a rule runs as a program of its stack machine, which lies in the
controller's constants: one compiled hook runs every rule.

S P Sharan et al., "Symbolic Distillation for Learned TCP Congestion Control", NeurIPS 2022, is
where rules in the place of networks come from; theirs were not published.

`rule_gentle` was written by hand, to have something to compare with: it is not distilled from
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion.asking import ASKED, ask, asked, begin_table, note
from policies.congestion.base import STATE, register
from policies.congestion.hooks import hook
from policies.congestion.rule_inputs import INPUTS
from policies.congestion.steering import (
    COLUMNS,
    CONSTANTS,
    WARMUP_LEFT,
    Steered,
    act,
    begin,
    take_in,
)
from policies.rules.parse import read_rule
from policies.rules.rule import Rule

FOLDER = Path(__file__).resolve().parent / "rules"

# Constants: the rule. State: the table, then the rule's inputs and stack.
RULE = CONSTANTS


@njit(cache=True)
def decide(state: Any, constants: Any) -> None:
    """Change the rate by the rule's action on the table."""
    act(state, ask(state, ASKED, constants, RULE), constants)


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin with the table of a flow to which nothing happened; without a warm-up, act on it."""
    begin(state, flow, constants)
    begin_table(state)
    if state[WARMUP_LEFT] <= 0.0:
        decide(state, constants)


@hook
def on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Take the interval in; once the warm-up is over, act."""
    if take_in(state, interval, constants):
        note(state, interval)
    if state[WARMUP_LEFT] <= 0.0:
        decide(state, constants)


class Symbolic(Steered):
    """Base of controllers with a rule: `class Mine(Symbolic, rule=Path("mine.rule"))`.

    The file is read when the class is made. Parameters are those of `steering.Steered`.
    """

    name = "symbolic"
    rule: ClassVar[Rule]
    program: ClassVar[NDArray[np.float64]]
    init = init
    on_interval = on_interval

    def __init_subclass__(cls, rule: Path, **rest: Any) -> None:
        """Read and compile the rule.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no rule, or has an input that no flow has; the message names it.
        """
        super().__init_subclass__(**rest)
        cls.rule = read_rule(rule)
        cls.program, columns = asked(cls.rule, str(rule))
        cls.state = (*STATE, *COLUMNS, *INPUTS, *columns)

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the parameters, the rule's inputs, and its program.

        Raises:
            ValueError: a parameter is unknown, not finite or out of range; the message names it.
        """
        return np.concatenate([super().constants(parameters), cls.program])


@register("rule_gentle")
class Gentle(Symbolic, rule=FOLDER / "gentle.rule"):
    """Written by hand: rises while RTTs are near their least and what is sent arrives."""
