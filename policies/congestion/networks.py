"""Small neural networks as constants of a controller: reading their weights, evaluating them.

Weights lie in safetensors files, which are read here without that library: 8 bytes of header
length (little-endian), a JSON header of name -> dtype, shape, offsets, then the raw data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent / "weights"
MOST_BYTES = 64 << 20
MOST_HEADER = 1 << 20


def read_safetensors(path: str | Path) -> dict[str, NDArray[np.float32]]:
    """Return name -> float32 array of a safetensors file of F32 tensors.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file, or larger than 64 MiB; the message names it.
    """
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path}: larger than {MOST_BYTES} bytes")
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MOST_HEADER, len(data) - 8):
        raise ValueError(f"{path}: is not a safetensors file, or cut short")
    try:
        header = json.loads(data[8 : 8 + size].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: the header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: the header is not an object")
    body = data[8 + size :]
    header.pop("__metadata__", None)
    return {
        name: _tensor(f"{path}: tensor {name!r}", entry, body) for name, entry in header.items()
    }


def _tensor(what: str, entry: Any, body: bytes) -> NDArray[np.float32]:
    if not isinstance(entry, dict) or entry.get("dtype") != "F32":
        raise ValueError(f"{what} is not of dtype F32")
    shape, offsets = _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise ValueError(f"{what} has no sound shape and offsets")
    begin, end = offsets
    if not begin <= end <= len(body) or end - begin != 4 * math.prod(shape):
        raise ValueError(f"{what} does not fit its offsets {begin} to {end} in {len(body)} bytes")
    values = np.frombuffer(body[begin:end], dtype="<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds a value that is not finite")
    return values.reshape(shape)


def _counts(value: Any) -> list[int] | None:
    """Return the value if it is a short list of sizes, else None."""
    if not isinstance(value, list) or len(value) > 8:
        return None
    return value if all(type(v) is int and 0 <= v <= MOST_BYTES for v in value) else None


def flat_layers(
    tensors: Mapping[str, NDArray[np.float32]], sizes: Sequence[int]
) -> NDArray[np.float64]:
    """Return float64[n]: w0 (row by row, inputs x outputs), b0, w1, b1, ... of dense layers.

    Raises:
        ValueError: a tensor `w<i>` or `b<i>` is missing, or not of the shape that `sizes` implies.
    """
    parts = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        for name, shape in ((f"w{i}", (inputs, outputs)), (f"b{i}", (outputs,))):
            if name not in tensors or tensors[name].shape != shape:
                found = tensors[name].shape if name in tensors else "none"
                raise ValueError(f"weights: {name} must have the shape {shape}, found {found}")
            parts.append(tensors[name].astype(np.float64).ravel())
    return np.concatenate(parts)


@njit(cache=True)
def dense(
    row: Any,
    source: int,
    inputs: int,
    target: int,
    outputs: int,
    weights: Any,
    start: int,
    squash: bool,
) -> int:
    """Set row[target : target + outputs] to a dense layer of row[source : source + inputs].

    The layer's weights lie in `weights` from `start` on, as `flat_layers` leaves them; `squash`
    applies tanh. In float64, in the order of the inputs. Returns where the next layer starts.
    """
    bias = start + inputs * outputs
    for j in range(outputs):
        total = weights[bias + j]
        for i in range(inputs):
            total += row[source + i] * weights[start + i * outputs + j]
        row[target + j] = math.tanh(total) if squash else total
    return bias + outputs


def packed(tensors: Mapping[str, NDArray[np.float32]], sizes: Sequence[int]) -> NDArray[np.float64]:
    """Return a network as `forward` reads it: number of layers, sizes, layers.

    Raises:
        ValueError: as `flat_layers`.
    """
    head = np.array([len(sizes) - 1, *sizes], np.float64)
    return np.concatenate([head, flat_layers(tensors, sizes)])


@njit(cache=True)
def forward(row: Any, source: int, network: Any, at: int) -> int:
    """Evaluate the network that lies in `network` from `at` on; return where its outputs are.

    Its inputs are row[source:]; the outputs of each layer follow its inputs there, so the row needs
    room for the sum of all sizes. Every layer but the last is squashed by tanh.
    """
    layers = int(network[at])
    start = at + layers + 2
    for i in range(layers):
        inputs, outputs = int(network[at + 1 + i]), int(network[at + 2 + i])
        target = source + inputs
        start = dense(row, source, inputs, target, outputs, network, start, i < layers - 1)
        source = target
    return source
