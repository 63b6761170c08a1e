"""Formats of a rule's inputs and of its action: what a datapath prepares, and what it gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.rules.syntax import Input, RuleError

FRACTION_BITS = 24
"""Fractional bits of an input or action, unless that makes it too short or too long."""
SHORTEST, LONGEST = 16, 40
"""Bits of its greatest magnitude, at least and at most."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a value is held in an integer n: it is n * 2**-fraction.

    Attributes:
        name: of the input, or `action`.
        fraction: fractional bits; below zero where it is counted in more than ones.
        low: least integer; an input that is less counts as that.
        high: greatest integer; an input that is greater counts as that.
    """

    name: str
    fraction: int
    low: int
    high: int


def format_of(name: str, low: float, high: float) -> Format:
    """Return the format of what lies in [low, high].

    Raises:
        RuleError: the bounds are nearer to each other than any two values of the format.
    """
    most = max(-low, high)
    bits = math.frexp(most)[1]
    fraction = min(max(FRACTION_BITS, SHORTEST - bits), LONGEST - bits)
    one = Fraction(2) ** fraction
    least, greatest = math.ceil(Fraction(low) * one), math.floor(Fraction(high) * one)
    if least >= greatest:
        raise RuleError(
            f"{name}: bounds [{low!r}, {high!r}] are one number with {fraction} fractional bits; "
            "move them apart"
        )
    return Format(name, fraction, least, greatest)


def format_of_input(given: Input) -> Format:
    """Return the format of an input; RuleError as `format_of`."""
    return format_of(given.name, given.low, given.high)


def quantised(formats: tuple[Format, ...], columns: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
    """Return int64[n, inputs]: inputs brought in bounds and rounded; NaN counts as the lower bound.

    Args:
        formats: of the inputs, in the order of columns.
        columns: name -> float64[n].

    Raises:
        KeyError: an input is missing.
    """
    found = []
    for form in formats:
        if form.name not in columns:
            raise KeyError(f"input {form.name!r} is missing; give a column of that name")
        values = np.atleast_1d(np.asarray(columns[form.name], np.float64))
        with np.errstate(over="ignore", invalid="ignore"):  # inf and NaN are brought in bounds
            scaled = np.rint(np.ldexp(values, form.fraction))
            scaled = np.where(scaled >= form.low, np.minimum(scaled, form.high), form.low)
        found.append(scaled.astype(np.int64))
    return np.stack(found, axis=1)
