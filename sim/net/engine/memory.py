"""The arena as bare pointers, the way that compiled code sees it.

A numpy array costs its callee four atomic reference counts and seven words in every call, which is
more than handling an event. `w` (int64) and `d` (float64) are pointers to the same memory instead;
they are indexed like arrays, without checks. The caller keeps the arena alive.
"""

# numba's intrinsics are built at import; their types are not visible to a checker.
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

INTS, FLOATS, BITS = (types.CPointer(t) for t in (types.int64, types.float64, types.uint64))


def _cast(kind: Any) -> Any:
    """Return an intrinsic that turns an address or a pointer into a pointer to `kind`."""

    @intrinsic
    def cast(typing_context: Any, source: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target = context.get_value_type(kind)
            if isinstance(source, types.Integer):
                return builder.inttoptr(arguments[0], target)
            return builder.bitcast(arguments[0], target)

        return kind(source), generate

    return cast


ints: Any = _cast(INTS)
floats: Any = _cast(FLOATS)
bits: Any = _cast(BITS)


def _offset(typing_context: Any, pointer: Any, words: Any) -> Any:
    """Return the pointer `words` further on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), generate


offset: Any = intrinsic(_offset)


@njit(cache=True)
def table(pointer: Any, handle: int, words: int) -> Any:
    """Return the array of `words` words at a handle, for code that wants an array."""
    return carray(offset(pointer, handle), words)
