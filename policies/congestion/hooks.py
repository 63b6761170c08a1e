"""Controllers' functions compiled: how they are declared, and how an engine finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

from policies.congestion.base import DRAWS, SEED

ROWS = (types.CPointer(types.float64),) * 3
"""An engine hands rows over as bare pointers: arrays would cost more than most hooks."""


def hook(function: Callable[[Any, Any, Any], None]) -> Any:
    """Compile a controller's function of three float64 rows: state, event, constants.

    Rows may be indexed and nothing else: the same function is compiled for arrays, when Python
    calls it, and for bare pointers, when the packet engine does.
    """
    return njit(cache=True)(function)


def address(compiled: Any) -> int:
    """Return the machine address of a hook; compiles it, or loads it from the cache.

    Raises:
        TypeError: it is not a hook, or not in the subset that numba compiles.
    """
    if not hasattr(compiled, "get_compile_result"):
        raise TypeError(f"{compiled!r} is not compiled; decorate it with @hook")
    compiled.compile(ROWS)
    result = compiled.get_compile_result(types.void(*ROWS))
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


@njit(cache=True)
def draw(state: Any) -> float:
    """Return the next number of the flow's own stream, uniform in [0, 1).

    splitmix64 (Steele, Lea, Flood, OOPSLA 2014) at position `draws` of the stream `seed`.
    """
    state[DRAWS] += 1.0
    z = np.uint64(state[SEED]) + np.uint64(state[DRAWS]) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)
