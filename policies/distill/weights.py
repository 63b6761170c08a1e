"""A policy's network as two files: tensors in safetensors, all that is known of them in JSON.

The tensors are those that `policies.congestion.networks` reads: `w0` (inputs x outputs), `b0`,
`w1`, ..., float32, and `log_std`. The JSON beside them has the layers' sizes, the environment with
all its parameters (features, history, step of an action), where the weights come from, and the
SHA-256 of the tensors' file, so that the two cannot be mixed up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.congestion.networks import FOLDER, flat_layers, read_safetensors
from policies.distill.storage import digest_of, read_json, write_json, write_tensors
from policies.distill.worlds import LEGACY, World
from sim.net.envs.config import EnvConfig
from sim.streams import canonical_json

PUBLISHED = FOLDER / "aurora_icml19.safetensors"
MOST_LAYERS, WIDEST = 8, 100_000


@dataclass(frozen=True, eq=False)
class Network:
    """A policy: dense layers with tanh between them, and the environment that it acts in.

    Attributes:
        tensors: name -> float32 array: w0, b0, w1, ..., and log_std[1].
        world: the environment; its features and history make the input.
    """

    tensors: Mapping[str, NDArray[np.float32]]
    world: World

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the layers, inputs and output included."""
        count = sum(name.startswith("w") for name in self.tensors)
        return (*(self.tensors[f"w{i}"].shape[0] for i in range(count)), 1)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one decision."""
        return sum(a * b for a, b in pairwise(self.sizes))

    @property
    def digest(self) -> str:
        """SHA-256 of the weights and of the environment that they act in."""
        tensors = {
            name: [list(tensor.shape), hashlib.sha256(tensor.tobytes()).hexdigest()]
            for name, tensor in self.tensors.items()
        }
        told = canonical_json({"tensors": tensors, "world": self.world.as_json()})
        return hashlib.sha256(told.encode()).hexdigest()

    @cached_property
    def _layers(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        names = range(len(self.sizes) - 1)
        return [
            (self.tensors[f"w{i}"].astype(np.float64), self.tensors[f"b{i}"].astype(np.float64))
            for i in names
        ]

    def __call__(self, observations: NDArray[Any]) -> NDArray[np.float64]:
        """Return float64[n]: mean actions on float[n, inputs] observations, unclamped.

        Computed in float64 of the float32 weights, as controllers do it.

        Raises:
            ValueError: wrong shape.
        """
        values = np.asarray(observations, np.float64)
        if values.ndim != 2 or values.shape[1] != self.sizes[0]:
            raise ValueError(
                f"observations: shape must be (n, {self.sizes[0]}), got {values.shape}"
            )
        *hidden, (last, bias) = self._layers
        for weights, biases in hidden:
            values = np.tanh(values @ weights + biases)
        return (values @ last + bias)[:, 0]


def write_network(path: Path, network: Network, told: Mapping[str, Any]) -> None:
    """Put the network at `path` (`*.safetensors`) and beside it (`*.json`).

    Args:
        path: of the tensors.
        network: what to write.
        told: what else to say: the command, the seed, how it was judged, ...; JSON values.
    """
    world, sizes = network.world, network.sizes
    digest = write_tensors(path, network.tensors)
    write_json(
        path.with_suffix(".json"),
        {
            **told,
            "layers": list(sizes),
            "shapes": {name: list(network.tensors[name].shape) for name in sorted(network.tensors)},
            "dtype": "float32",
            "formula": _formula(len(sizes) - 1),
            "activation": "tanh",
            "normalisation": "none",
            "input": f"{world.config.history} monitor intervals, oldest first, of ("
            + ", ".join(world.config.features)
            + ")",
            "features": list(world.config.features),
            "history": world.config.history,
            "delta": world.config.delta,
            "world": world.as_json(),
            "sha256": digest,
        },
    )


def _formula(layers: int) -> str:
    hidden = [f"h = tanh({'h' if i else 'x'} @ w{i} + b{i})" for i in range(layers - 1)]
    last = f"mean action = h @ w{layers - 1} + b{layers - 1}"
    return "; ".join([*hidden, last, "its standard deviation in training is exp(log_std)"])


def read_network(path: Path) -> Network:
    """Return the network that `write_network` put at `path` (`*.safetensors`).

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is damaged, or the two do not belong together; the message names it.
    """
    where = path.with_suffix(".json")
    told = read_json(where)
    world = World.from_json(told.get("world"), f"{where}: world")
    for name, value in (
        ("features", list(world.config.features)),
        ("history", world.config.history),
        ("delta", world.config.delta),
    ):
        if told.get(name) != value:
            raise ValueError(f"{where}: {name} is {told.get(name)!r:.80}, but {value!r} in world")
    sizes = _sizes(told.get("layers"), world, where)
    if told.get("sha256") != digest_of(path):
        raise ValueError(f"{path}: is not the file whose sha256 {where.name} tells")
    tensors = read_safetensors(path)
    try:
        flat_layers(tensors, sizes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    layers = range(len(sizes) - 1)
    names = {f"{kind}{i}" for i in layers for kind in "wb"} | {"log_std"}
    if set(tensors) != names or tensors["log_std"].shape != (1,):
        raise ValueError(
            f"{path}: tensors must be {', '.join(sorted(names))}, log_std of one value"
        )
    return Network(tensors, world)


def _sizes(value: Any, world: World, where: Path) -> list[int]:
    good = isinstance(value, list) and 2 <= len(value) <= MOST_LAYERS
    if not good or not all(type(size) is int and 1 <= size <= WIDEST for size in value):
        raise ValueError(f"{where}: layers must be 2 to {MOST_LAYERS} sizes of 1 to {WIDEST}")
    if value[0] != world.inputs or value[-1] != 1:
        raise ValueError(f"{where}: layers must lead from {world.inputs} inputs to 1 action")
    return value


def published_network() -> Network:
    """Return Aurora as its authors gave it out (Jay et al., ICML 2019; PCC-RL, issue 5)."""
    return Network(read_safetensors(PUBLISHED), World(LEGACY, EnvConfig.legacy()))
