"""The reference's output, if this machine has the memory to measure the operator at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tuning.operators import Conv2d, Operator, Pair
from tuning.operators.reference import random_operands, reference
from tuning.profile.errors import TooLargeError

_FLOAT_BYTES = 4
_GIB = 1 << 30


def needed_bytes(operator: Operator) -> int:
    """Return about how much memory the reference or the worker takes, whichever takes more.

    The reference holds the operands, the padded image, and up to three tensors of the output's
    size; the worker the operands twice, what templates pad, the output and the reference's.
    """
    *given, output = operator.operands()
    halves = (operator.first, operator.second) if isinstance(operator, Pair) else (operator,)
    padded = sum(half.padded_input().nbytes for half in halves if isinstance(half, Conv2d))
    made = _FLOAT_BYTES * max(output.size, halves[0].operands()[-1].size)
    operands = sum(operand.nbytes for operand in given)
    return padded + max(operands + 3 * made, 2 * (operands + made))


def available_bytes(
    meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the memory that may still be used: the machine's, or the control group's if less.

    Args:
        meminfo: what Linux tells of the machine.
        group: the folder of the control group (version 2); its page cache counts as free.
    """
    free = _numbers(meminfo)["MemAvailable:"] << 10
    limit, used = group / "memory.max", group / "memory.current"
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()) != "max":
        cached = _numbers(group / "memory.stat")
        held = int(used.read_text()) - cached["inactive_file"] - cached["active_file"]
        free = min(free, int(most) - held)
    return free


def _numbers(path: Path) -> dict[str, int]:
    """Return first word -> second of each line."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return {line[0]: int(line[1]) for line in lines}


def require_memory(operator: Operator) -> None:
    """Complain about an operator that cannot be measured here.

    Raises:
        TooLargeError: its operands, and what is made of them, do not fit the free memory.
    """
    needed, available = needed_bytes(operator), available_bytes()
    if needed > available:
        raise TooLargeError(
            f"{operator.text()}: measuring needs about {needed / _GIB:.3g} GiB of memory, and "
            f"{available / _GIB:.3g} GiB are free; take a smaller shape"
        )


def wanted_output(operator: Operator, seed: int) -> NDArray[Any]:
    """Return the reference's output for the random operands of `seed`.

    Raises:
        TooLargeError: there is not enough memory.
    """
    require_memory(operator)
    try:
        return reference(operator, random_operands(operator, seed))
    except (MemoryError, RuntimeError) as error:  # NumPy's, and PyTorch's allocator
        told = str(error).strip().partition("\n")[0]
        raise TooLargeError(f"{operator.text()}: no reference: {told}") from None
