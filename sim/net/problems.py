"""Errors of scenarios and of the policies that run in them; each names the part and the field."""

from __future__ import annotations

import math
from typing import Any


class ScenarioError(ValueError):
    """A scenario that cannot be simulated. The message names link or flow, field and limits."""


class PolicyError(RuntimeError):
    """A controller that raised, or answered with something that is not a window or a rate."""


def number(
    part: str,
    field: str,
    value: Any,
    at_least: float = 0.0,
    below: float = math.inf,
    above: float = -math.inf,
) -> None:
    """Check that `value` is a number with at_least <= value < below and value > above.

    Raises:
        ScenarioError: it is not; the message names `part` and `field`.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if good and at_least <= value < below and value > above:
        return
    lower = f"> {above:g}" if above > -math.inf else f">= {at_least:g}"
    upper = "finite" if below == math.inf else f"< {below:g}"
    raise ScenarioError(f"{part}: {field} must be {lower} and {upper}, got {value!r}")


def whole(part: str, field: str, value: Any, at_least: int = 0, at_most: int = 10**18) -> None:
    """Check that `value` is an integer with at_least <= value <= at_most.

    Raises:
        ScenarioError: it is not.
    """
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
        return
    raise ScenarioError(
        f"{part}: {field} must be an integer of {at_least} to {at_most}, got {value!r}"
    )
