"""What kernels take instead of arrays: bare pointers, and a counter that threads share.

An array argument costs its callee atomic counts of references, in memory that all threads write
to; see `sim.net.engine.memory`. Pointers are indexed like arrays, without checks.
"""

# numba's intrinsics are built at import; their types are not visible to a checker.
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from sim.net.engine.memory import floats, ints

SINGLES = types.CPointer(types.float32)


def _singles(typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer to float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(SINGLES))

    return SINGLES(types.intp), generate


def _take_one(typing_context: Any, counter: Any) -> Any:
    """Return the int64 that is pointed to, and raise it by one, as one indivisible act."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", arguments[0], one, "monotonic")

    return types.int64(counter), generate


singles: Any = intrinsic(_singles)
take_one: Any = intrinsic(_take_one)


@njit(cache=True)
def borrowed_ints(array: Any) -> Any:
    """Return an array of the same int64 that is not counted."""
    return carray(ints(array.ctypes.data), array.shape)


@njit(cache=True)
def borrowed_floats(array: Any) -> Any:
    """Return an array of the same float64 that is not counted."""
    return carray(floats(array.ctypes.data), array.shape)
