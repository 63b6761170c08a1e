"""Networks of random weights as files, in the layout in which trained ones ship."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from policies.congestion.learned import Learned
from sim.net.envs.config import EnvConfig


def safetensors(tensors: dict[str, Any]) -> bytes:
    """Return float32 arrays as a safetensors file."""
    header, body = {}, b""
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor, "<f4").tobytes()
        ends = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": ends}
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def random_tensors(layers: list[int], seed: int, spread: float = 1.0) -> dict[str, Any]:
    """Return dense layers whose outputs are about as large as their inputs times `spread`."""
    draws, tensors = np.random.default_rng(seed), {}
    for i, (inputs, outputs) in enumerate(pairwise(layers)):
        scale = spread / np.sqrt(inputs)
        tensors[f"w{i}"] = draws.normal(size=(inputs, outputs)).astype(np.float32) * np.float32(
            scale
        )
        tensors[f"b{i}"] = draws.normal(size=outputs).astype(np.float32) * np.float32(0.1 * spread)
    return tensors


def write_network(
    folder: Path,
    config: EnvConfig,
    tensors: dict[str, Any],
    layers: list[int],
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Put a network into `folder` and return its path; `changes` replace fields of its JSON."""
    weights = folder / "made.safetensors"
    weights.write_bytes(safetensors(tensors))
    told = {
        "layers": layers,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "world": {"environment": "triptych/Pcc-v1", "config": asdict(config)},
    }
    weights.with_suffix(".json").write_text(
        json.dumps(told | dict(changes or {})), encoding="utf-8"
    )
    return weights


def controller_of(weights: Path) -> type[Learned]:
    """Return the controller of the network at `weights`."""

    class Made(Learned, weights=weights):
        """A network that a test made."""

        name = "made"

    return Made


def random_controller(
    folder: Path, config: EnvConfig, seed: int = 0, hidden: tuple[int, ...] = (32, 16)
) -> type[Learned]:
    """Return a controller with random weights for an environment."""
    layers = [len(config.features) * config.history, *hidden, 1]
    return controller_of(write_network(folder, config, random_tensors(layers, seed), layers))


def constant_controller(folder: Path, config: EnvConfig, action: float) -> type[Learned]:
    """Return a controller whose network always gives `action`."""
    layers = [len(config.features) * config.history, 1]
    tensors = {"w0": np.zeros((layers[0], 1)), "b0": np.array([action])}
    return controller_of(write_network(folder, config, tensors, layers))
