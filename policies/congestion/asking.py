"""A flow that keeps the table of rule inputs, and asks rules about it.

In the constants a rule lies as `asked` leaves it: how many inputs it has, the place of each in the
table, its program. A flow may ask several rules about one table; each needs columns of the state of
its own for its inputs, in its order, and for its stack.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion.rule_inputs import INPUTS, begin_inputs, update_inputs
from policies.congestion.rule_inputs import WIDTH as TABLE_WIDTH
from policies.congestion.steering import AFTER, MEAN_RTT, MOST_RECEIVED, RECEIVED, SENDING
from policies.registry import UnknownNameError
from policies.rules.machine import run
from policies.rules.opcodes import SLOTS
from policies.rules.program import compile_rule
from policies.rules.rule import Rule

TABLE = AFTER
"""First column of the table of everything that rules may ask."""
ASKED = TABLE + TABLE_WIDTH
"""First column of the inputs and the stack of the first rule that is asked."""


@njit(cache=True)
def begin_table(state: Any) -> None:
    """Set the table to that of a flow to which nothing happened."""
    begin_inputs(state, TABLE)


@njit(cache=True)
def note(state: Any, interval: Any) -> None:
    """Take an interval into the table; `steering.take_in` has taken it into the memory."""
    update_inputs(
        state,
        TABLE,
        interval,
        state[MEAN_RTT],
        state[RECEIVED],
        state[MOST_RECEIVED],
        state[SENDING],
    )


@njit(cache=True)
def ask(state: Any, column: int, constants: Any, place: int) -> float:
    """Return a rule's answer on the table.

    Args:
        state: of the flow; the rule's inputs and stack in it are written.
        column: first one of these.
        constants: of the controller.
        place: where the rule lies in them, as `asked` leaves it.
    """
    count = int(constants[place])
    for i in range(count):
        state[column + i] = state[TABLE + int(constants[place + 1 + i])]
    return run(constants, place + 1 + count, state, column, column + count)


def asked(rule: Rule, where: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return a rule as constants, and the names of the columns that asking it takes.

    Args:
        rule: what is asked.
        where: what messages call it.

    Raises:
        ValueError: the table has no such input; the message offers the nearest name.
    """
    known = list(INPUTS)
    for given in rule.inputs:
        if given.name not in INPUTS:
            raise ValueError(f"{where}: {UnknownNameError('input', given.name, known)}")
    places, program = [known.index(given.name) for given in rule.inputs], compile_rule(rule)
    inputs = (f"input_{i}" for i in range(len(places)))
    slots = (f"slot_{i}" for i in range(int(program[SLOTS])))
    return np.concatenate([[len(places)], places, program]), (*inputs, *slots)
