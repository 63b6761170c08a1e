"""The contract of a vendor library, and what all of them need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.operators.reference import Arrays


@dataclass(frozen=True)
class Prepared:
    """One operator, ready to be computed again and again.

    Attributes:
        run: computes once; what is timed.
        output: returns the array that the last `run` left, as a kernel stores it (bfloat16 as
            its 16 bits in uint16).
        notes: what the library fuses, and what is a pass of its own.
    """

    run: Callable[[], None]
    output: Callable[[], NDArray[Any]]
    notes: str


class Vendor(Protocol):
    """A library that people would use instead of a tuned kernel.

    It has the rights that the templates have: weights may be packed ahead, outputs reused.
    """

    name: ClassVar[str]

    def supports(self, operator: Operator) -> str | None:
        """Return why the library cannot compute the operator, or None if it can."""
        ...

    def version(self) -> str:
        """Return library, version and instruction set, in one line."""
        ...

    def prepare(self, operator: Operator, operands: Arrays, threads: int) -> Prepared:
        """Return the operator with its operands in place and its weights packed."""
        ...


def halves(operator: Operator, operands: Arrays) -> list[tuple[Gemm | Conv2d, Arrays]]:
    """Return the operator, or the two of a pair, each with its operands by plain names."""
    if isinstance(operator, Pair):
        first = {o.name for o in operator.first.operands()}
        own = {name: array for name, array in operands.items() if name in first}
        rest = {name[:-1]: array for name, array in operands.items() if name not in first}
        return [(operator.first, own), (operator.second, rest)]
    if isinstance(operator, Gemm | Conv2d):
        return [(operator, operands)]
    raise TypeError(f"no vendor computes {type(operator).__name__}")


SHORT_SPINS = {"TVM_THREAD_POOL_SPIN_COUNT": "10000"}
"""After a call TVM's threads wait by yielding 300,000 times, which outlasts any pause here: kernels
of 1.6 ms, timed next on two threads, took 16. These many are some milliseconds."""


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment that holds every library to `threads`, ours included.

    Raises:
        ValueError: `threads` is not positive.
    """
    if threads < 1:
        raise ValueError(f"threads: {threads} is not positive")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TVM_NUM_THREADS")
    return dict.fromkeys(names, str(threads)) | SHORT_SPINS
