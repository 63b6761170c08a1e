"""What is asked of the graph passes, and what they tell about their choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.space import Measurement


class Answer(Protocol):
    """What a tuner returns for one operator; `tuning.tuner.Tuned` is one."""

    @property
    def operator(self) -> Any:
        """The operator."""
        ...

    @property
    def best(self) -> Measurement:
        """The fastest measurement."""
        ...


Tuner = Callable[[Operator], Answer]
"""Returns the best candidate of an operator; raises NothingMeasuredError if there is none."""


@dataclass(frozen=True)
class Choice:
    """What was decided on one question: as it is, or `instead`.

    Attributes:
        instead: the operator that would run in the other's place; None if there is none.
        without_ns: median time as it is, 0 if the two were not compared.
        with_ns: median time of `instead` with all that it costs, 0 if not compared.
        applied: whether `instead` is to run; only where it was measured faster.
        reason: one sentence.
    """

    instead: Operator | None
    without_ns: float
    with_ns: float
    applied: bool
    reason: str


PairDecider = Callable[[Pair, Tuner], Choice]
"""Whether both operators of a pair run as one kernel; `instead` is the pair itself."""

PadDecider = Callable[[Gemm | Conv2d, Tuner], Choice]
"""Whether an operator runs on padded channels; `instead` is None if there is nothing to pad."""


@dataclass(frozen=True)
class GraphOptions:
    """Which passes run. Each can be left out to see what it is worth.

    Attributes:
        fuse_epilogues: whether bias, residual and activation become part of the product.
        decide_pair: asked for every two operators that could run back to back; None fuses none.
        decide_padding: asked for every operator; None pads none.
    """

    fuse_epilogues: bool = True
    decide_pair: PairDecider | None = None
    decide_padding: PadDecider | None = None


@dataclass(frozen=True)
class Decision:
    """One choice that a pass made by times.

    Attributes:
        kind: `pair` or `padding`.
        operator: what it is about: the pair, the operator without padding.
        choice: what was decided.
    """

    kind: str
    operator: Operator
    choice: Choice

    @property
    def applied(self) -> bool:
        """Whether it was found faster and is done; of pairs that overlap only some are."""
        return self.choice.applied

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        return self.choice.reason

    @property
    def subject(self) -> str:
        """Text of the operator, and of what would take its place."""
        instead = self.choice.instead
        change = f" as {instead.text()}" if instead and instead != self.operator else ""
        return f"{self.operator.text()}{change}"

    def text(self) -> str:
        """Return such as `padding: gemm ... as gemm ...: not padded: slower`."""
        return f"{self.kind} {self.subject}: {self.reason}"


@dataclass(frozen=True)
class Layer:
    """One kernel call of a built model.

    Attributes:
        operator: what it computes, pairs and padded operators as such.
        best: the candidate that is built in, and its times when it was tuned.
    """

    operator: Operator
    best: Measurement
