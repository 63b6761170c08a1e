"""The code of the stack machine: what the numbers of a program mean.

A program is float64, so that it can lie among a controller's constants: a header, the bounds of
each input, then instructions. Each instruction is an operation, followed by one operand for those
that have one. Jumps lead forward only, to offsets from the program's first number.
"""

from __future__ import annotations

CURRENT = 1.0
"""Version of the code; a machine refuses any other."""

# The header.
VERSION, INPUTS, SLOTS, LOW, HIGH, BOUNDS = range(6)
# VERSION: CURRENT. INPUTS: how many. SLOTS: of the stack, at most. LOW, HIGH: of the action.
# BOUNDS: the first of two numbers per input; the instructions follow them.

(
    END,  # the result lies in the first slot
    NUMBER,  # operand: the value to push
    INPUT,  # operand: index of the input to push
    JUMP,  # operand: where to go on
    NEGATE,  # what follows works on the uppermost slot
    ABS,
    SQRT,
    TANH,
    EXP,
    LOG,
    ADD,  # on the two uppermost slots, which it replaces by one
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    MIN,
    MAX,
    UNLESS_LESS,  # removes the two uppermost slots; operand: where to go on if it does not hold
    UNLESS_AT_MOST,
    UNLESS_GREATER,
    UNLESS_AT_LEAST,
) = range(20)

WITH_OPERAND = (NUMBER, INPUT, JUMP, UNLESS_LESS, UNLESS_AT_MOST, UNLESS_GREATER, UNLESS_AT_LEAST)
