"""The two files of a trained network: weights in safetensors and, beside them, what they mean.

That is JSON with `layers` (sizes, inputs first), `sha256` of the weights, and `world`: the id of
the environment and its parameters (`sim.net.envs.config.EnvConfig`), which say what the network
observes and what its action means. Other fields are for people to read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.congestion.base import DURING, SENT
from policies.congestion.interval_features import NAMES
from policies.congestion.networks import packed, read_safetensors
from policies.registry import nearest

ENVIRONMENT = "triptych/Pcc-v1"
MOST_JSON, MOST_NUMBER = 4 << 20, 1e300
MOST_HISTORY, MOST_WIDTH, MOST_LAYERS = 100, 1024, 8
NUMBERS = ("delta", "interval_rtts", "interval_packets", "warmup_intervals")
"""Fields of the environment that are parameters of `steering` by the same name."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A network, and the part of its environment that a sender needs.

    Attributes:
        layers: sizes, inputs first; the last is 1.
        features: names of `interval_features.FEATURES`, per interval.
        history: intervals observed, the oldest first.
        attribution: `during` or `sent`, see `policies.congestion.base`.
        parameters: of `steering`: delta, min_bps, max_bps, ...
        network: float64[n] as `networks.packed` leaves it.
    """

    layers: tuple[int, ...]
    features: tuple[str, ...]
    history: int
    attribution: str
    parameters: Mapping[str, float]
    network: NDArray[np.float64]


def read_trained(weights: Path) -> Trained:
    """Return the network whose weights lie at `weights`.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is damaged, a field is missing or out of range, or the two files do not
            belong together; the message names file and field.
    """
    where = weights.with_suffix(".json")
    told = _object(where)
    world = told.get("world")
    config = world.get("config") if isinstance(world, dict) else None
    if not isinstance(world, dict) or not isinstance(config, dict):
        raise ValueError(f"{where}: world must be an object with environment and config")
    if world.get("environment") != ENVIRONMENT:
        raise ValueError(
            f"{where}: world.environment must be {ENVIRONMENT!r}, got "
            f"{_shown(world.get('environment'))}; networks of others need another sender"
        )
    features = _features(where, config.get("features"))
    history = _whole(where, "world.config.history", config.get("history"), MOST_HISTORY)
    attribution = config.get("attribution")
    if attribution not in (DURING, SENT):
        raise ValueError(
            f"{where}: world.config.attribution must be {DURING!r} or {SENT!r}, "
            f"got {_shown(attribution)}"
        )
    parameters = _parameters(where, config)
    layers = _layers(where, told.get("layers"), len(features) * history)
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if told.get("sha256") != found:
        raise ValueError(
            f"{weights}: is not the file whose sha256 {where.name} tells; its: {found}"
        )
    tensors = read_safetensors(weights)
    try:
        network = packed(tensors, layers)
    except ValueError as error:
        raise ValueError(f"{weights}: {error}") from None
    return Trained(layers, features, history, attribution, parameters, network)


def _object(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_JSON:
        raise ValueError(f"{path}: larger than {MOST_JSON} bytes")
    try:
        told = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON: {str(error)[:200]}") from None
    if not isinstance(told, dict):
        raise ValueError(f"{path}: is not an object")
    return told


def _shown(value: Any) -> str:
    return f"{value!r:.80}"


def _whole(path: Path, field: str, value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{path}: {field} must be whole, 1 to {most}, got {_shown(value)}")
    return value


def _features(path: Path, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_WIDTH:
        raise ValueError(f"{path}: world.config.features must be a list of names")
    for i, name in enumerate(names):
        if name not in NAMES:
            near = nearest(str(name), NAMES)
            hint = f"; did you mean {near!r}?" if near else ""
            raise ValueError(
                f"{path}: world.config.features[{i}] = {_shown(name)} is unknown{hint} "
                f"(known: {', '.join(NAMES)})"
            )
    return tuple(names)


def _layers(path: Path, sizes: Any, inputs: int) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not 2 <= len(sizes) <= MOST_LAYERS + 1:
        raise ValueError(f"{path}: layers must be a list of 2 to {MOST_LAYERS + 1} sizes")
    for i, size in enumerate(sizes):
        _whole(path, f"layers[{i}]", size, MOST_WIDTH)
    if sizes[0] != inputs or sizes[-1] != 1:
        raise ValueError(
            f"{path}: layers must lead from features x history = {inputs} inputs to 1 action, "
            f"not from {sizes[0]} to {sizes[-1]}"
        )
    return tuple(sizes)


def _parameters(path: Path, config: Mapping[str, Any]) -> dict[str, float]:
    ends = config.get("rate_bps")
    if not isinstance(ends, list) or len(ends) != 2:
        raise ValueError(
            f"{path}: world.config.rate_bps must be [lowest, highest], got {_shown(ends)}"
        )
    fields = ("rate_bps[0]", "rate_bps[1]", *NUMBERS)
    values: list[Any] = [*ends, *(config.get(name) for name in NUMBERS)]
    for field, value in zip(fields, values, strict=True):
        if type(value) not in (int, float) or not abs(value) <= MOST_NUMBER:
            raise ValueError(
                f"{path}: world.config.{field} must be a finite number, got {_shown(value)}"
            )
    names = ("min_bps", "max_bps", *NUMBERS)
    return {name: float(value) for name, value in zip(names, values, strict=True)}
