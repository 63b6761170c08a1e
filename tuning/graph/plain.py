"""Layers and decisions as plain JSON values, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tuning.graph.options import Choice, Decision, Layer
from tuning.operators import operator_from_dict
from tuning.space import Candidate, Measurement

_CHOICE = {"instead", "without_ns", "with_ns", "applied", "reason"}


def choice_to_dict(choice: Choice) -> dict[str, Any]:
    """Return plain values from which `choice_from_dict` makes the same choice."""
    instead = choice.instead.to_dict() if choice.instead else None
    return {name: getattr(choice, name) for name in _CHOICE} | {"instead": instead}


def choice_from_dict(data: Mapping[str, Any]) -> Choice:
    """Return the choice that `choice_to_dict` described.

    Raises:
        ValueError: `data` describes none.
    """
    if data.keys() != _CHOICE:
        raise ValueError("choice: has not the fields " + ", ".join(sorted(_CHOICE)))
    without_ns, with_ns = (_time_ns(name, data[name]) for name in ("without_ns", "with_ns"))
    if not isinstance(data["applied"], bool) or not isinstance(data["reason"], str):
        raise ValueError("applied, reason: are not true or false and text")
    instead = data["instead"]
    return Choice(
        operator_from_dict(instead) if instead is not None else None,
        without_ns,
        with_ns,
        data["applied"],
        data["reason"],
    )


def _time_ns(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: is not a number")
    try:
        time_ns = float(value)
    except OverflowError:
        raise ValueError(f"{name}: is too large a number") from None
    if not (math.isfinite(time_ns) and time_ns >= 0):
        raise ValueError(f"{name}: is not a time in ns")
    return time_ns


def decision_to_dict(decision: Decision) -> dict[str, Any]:
    """Return plain values from which `decision_from_dict` makes the same decision."""
    return {
        "kind": decision.kind,
        "operator": decision.operator.to_dict(),
        "choice": choice_to_dict(decision.choice),
    }


def decision_from_dict(data: Mapping[str, Any]) -> Decision:
    """Return the decision that `decision_to_dict` described; KeyError, ValueError if none."""
    choice = choice_from_dict(data["choice"])
    return Decision(str(data["kind"]), operator_from_dict(data["operator"]), choice)


def layer_to_dict(layer: Layer) -> dict[str, Any]:
    """Return plain values from which `layer_from_dict` makes the same layer."""
    best = asdict(layer.best) | {"candidate": layer.best.candidate.to_dict()}
    return {"operator": layer.operator.to_dict(), "best": best}


def layer_from_dict(data: Mapping[str, Any]) -> Layer:
    """Return the layer that `layer_to_dict` described; KeyError, TypeError, ValueError if none."""
    best = data["best"] | {"candidate": Candidate.from_dict(data["best"]["candidate"])}
    return Layer(operator_from_dict(data["operator"]), Measurement(**best))
