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

STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
_ALIGNMENT = 64

Share = dict[tuple[str, int], NDArray[Any]]


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an uninitialised array that begins at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def aligned(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return `array` in float32, row-major, from a cache line on; itself if it is that already."""
    plain = array.dtype == np.float32 and array.flags.c_contiguous
    if plain and array.ctypes.data % _ALIGNMENT == 0:
        return array
    own = aligned_empty(array.shape, np.float32)
    own[...] = array
    return own


def _kept(share: Share, weight: int, packed: NDArray[Any]) -> NDArray[Any]:
    """Return the array in `share` that equals `packed`, or `packed` if none does."""
    known = (array for (_, index), array in share.items() if index == weight)
    alike = (array for array in known if array.shape == packed.shape)
    return next((array for array in alike if np.array_equal(array, packed)), packed)


class Kernel:
    """One operator, one candidate, one set of operands: call it to compute.

    Weights are packed here, once. An input that begins at a cache line is used where it is, others
    are copied. The scratch memory is the kernel's own.

    Args:
        path: the shared object.
        operator: what it computes.
        candidate: what it was rendered from.
        operands: name -> array, as `random_operands` makes them.
        prefix: of the object's exported functions.
        share: where kernels of one operator, run one after another, keep what they can share: the
            output, and packed weights of equal content. None: nothing is shared.

    Raises:
        OSError: the object cannot be loaded.
        AttributeError: it lacks one of the functions of a unit.
    """

    def __init__(
        self,
        path: Path,
        operator: Operator,
        candidate: Candidate,
        operands: dict[str, NDArray[Any]],
        prefix: str = "triptych",
        share: Share | None = None,
    ) -> None:
        share = {} if share is None else share
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
                if ("output", -1) not in share:
                    share["output", -1] = aligned_empty(operand.shape, STORED[operand.dtype])
                self.output = share["output", -1]
                self._tensors.append(self.output)
            elif operand.role == "weight":
                if (str(path), weights) not in share:
                    packed = aligned_empty((packed_floats(weights, self._dims),), np.float32)
                    pack = getattr(library, f"{prefix}_pack")
                    pack.restype = None
                    given = np.ascontiguousarray(operands[operand.name], np.float32)
                    pack(weights, _at(given), _at(packed), self._dims)
                    share[str(path), weights] = _kept(share, weights, packed)
                self._tensors.append(share[str(path), weights])
                weights += 1
            else:
                self._tensors.append(aligned(operands[operand.name]))
        self._scratch = aligned_empty((scratch_bytes(self._dims, self._blocks),), np.uint8)
        self._args = (ctypes.c_void_p * len(self._tensors))(*(t.ctypes.data for t in self._tensors))

    @property
    def entry(self) -> tuple[int, int, int, int, int]:
        """Addresses of the function and of its four arguments, for a caller that is compiled."""
        function = ctypes.cast(self._run, ctypes.c_void_p).value or 0
        arrays = (self._args, self._dims, self._blocks)
        args, dims, blocks = map(ctypes.addressof, arrays)
        return function, args, dims, blocks, self._scratch.ctypes.data

    def __call__(self) -> None:
        """Compute the output."""
        self._run(self._args, self._dims, self._blocks, _at(self._scratch))


def _int64(values: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
