"""How compiled code calls a controller's hook: by address, with numba's own convention.

An address in the flow's row costs what a direct call costs, and lets one compiled engine run
controllers that it has never seen. numba's convention, unlike C's, hands exceptions on.
"""

# numba's intrinsics are built at import; their types are not visible to a checker.
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from policies.congestion.base import CWND, INTERVAL_NS, INTERVAL_PACKETS, PACING_BPS
from policies.congestion.hooks import ROWS
from sim.net.engine.layout import (
    AT_FLOW,
    AT_HOOK,
    CONSTANTS,
    INDEX,
    ON_INTERVAL,
    STATE,
)
from sim.net.engine.memory import offset


def _call(typing_context: Any, address: Any, state: Any, event: Any, constants: Any) -> Any:
    """Call the hook at `address` with three float64 rows; exceptions propagate."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention = context.call_conv
        pointer = convention.get_function_type(types.void, ROWS).as_pointer()
        function = builder.inttoptr(arguments[0], pointer)
        status, _ = convention.call_function(builder, function, types.void, ROWS, arguments[1:])
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(types.int64, *ROWS), generate


call: Any = intrinsic(_call)


@njit(cache=True, forceinline=True)
def run_hook(w: Any, d: Any, flow: int, which: int, row: int) -> None:
    """Run the flow's hook `which` on an event row, and check what it leaves.

    Raises:
        ValueError: the window, the rate or the interval is not a positive number.
    """
    w[AT_FLOW] = w[flow + INDEX]
    w[AT_HOOK] = which
    state = w[flow + STATE]
    constants = w[flow + CONSTANTS]
    call(
        w[flow + which],
        offset(d, state),
        offset(d, row),
        offset(d, constants),
    )
    if not (d[state + CWND] > 0.0 and d[state + PACING_BPS] > 0.0):
        raise ValueError("window or rate")
    if w[flow + ON_INTERVAL] and not (
        d[state + INTERVAL_NS] > 0.0 and d[state + INTERVAL_PACKETS] >= 0.0
    ):
        raise ValueError("interval")
