"""Files of tensors and JSON that appear whole or not at all, read without trust or pickle."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_JSON = 4 << 20


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`: written beside it, flushed to the disk, renamed into place.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as JSON.

    Raises:
        ValueError: a number is not finite.
    """
    write_bytes(path, json.dumps(value, indent=1, allow_nan=False).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object at `path`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no JSON object, or is larger than 4 MiB; the message names it.
    """
    if path.stat().st_size > MOST_JSON:
        raise ValueError(f"{path}: larger than {MOST_JSON} bytes")
    try:
        value = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: is not a JSON object")
    return value


def write_tensors(path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> str:
    """Put float32 arrays at `path` as safetensors; return the SHA-256 of the file.

    `policies.congestion.networks.read_safetensors` reads it.

    Raises:
        ValueError: an array is not float32, or holds a value that is not finite.
    """
    from safetensors.numpy import save

    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise ValueError(f"{path}: tensor {name!r} must hold finite float32 numbers")
    data = save({name: np.array(tensor, order="C") for name, tensor in tensors.items()})
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: the file cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()
