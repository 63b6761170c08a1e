"""A compiled unit, loaded and bound to one operator's tensors."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.operators import Operator
from tuning.space import Candidate
from tuning.templates.cpu.render import call_blocks, call_dims

_STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
_ALIGNMENT = 64


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an uninitialised array that begins at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


class Kernel:
    """One operator, one candidate, one set of operands: call it to compute.

    Weights are packed here, once. The output and the scratch memory are the kernel's own.
    """

    def __init__(
        self,
        path: Path,
        operator: Operator,
        candidate: Candidate,
        operands: dict[str, NDArray[Any]],
        prefix: str = "triptych",
    ) -> None:
        library = ctypes.CDLL(str(path))
        self._run = getattr(library, f"{prefix}_run")
        self._run.restype = None
        self._dims = _int64(call_dims(operator))
        self._blocks = _int64(call_blocks(candidate))
        packed_floats = getattr(library, f"{prefix}_packed_floats")
        scratch_bytes = getattr(library, f"{prefix}_scratch_bytes")
        packed_floats.restype = scratch_bytes.restype = ctypes.c_int64
        self._tensors: list[NDArray[Any]] = []
        weights = 0
        for operand in operator.operands():
            if operand.role == "output":
                self.output = aligned_empty(operand.shape, _STORED[operand.dtype])
                self._tensors.append(self.output)
            elif operand.role == "weight":
                packed = aligned_empty((packed_floats(weights, self._dims),), np.float32)
                pack = getattr(library, f"{prefix}_pack")
                pack.restype = None
                given = np.ascontiguousarray(operands[operand.name], np.float32)
                pack(weights, _at(given), _at(packed), self._dims)
                self._tensors.append(packed)
                weights += 1
            else:
                own = aligned_empty(operand.shape, np.float32)
                own[...] = operands[operand.name]
                self._tensors.append(own)
        self._scratch = np.empty(scratch_bytes(self._dims, self._blocks) + _ALIGNMENT, np.uint8)
        self._args = (ctypes.c_void_p * len(self._tensors))(*(t.ctypes.data for t in self._tensors))

    def __call__(self) -> None:
        """Compute the output."""
        self._run(self._args, self._dims, self._blocks, _at(self._scratch))


def _int64(values: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
