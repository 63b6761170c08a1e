"""What is asked of the graph passes, and what they tell about their choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tuning.operators import Conv2d, Gemm, Operator
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
"""Returns the best candidate of an operator; raises if nothing could be measured."""


class PairAnswer(Protocol):
    """What a decision on a pair returns; `tuning.decide.PairDecision` is one."""

    @property
    def fused(self) -> Answer | None:
        """The fused operator's answer, None if it could not be measured."""
        ...

    @property
    def first(self) -> Answer:
        """The first operator alone."""
        ...

    @property
    def second(self) -> Answer:
        """The second operator alone."""
        ...

    @property
    def fuse(self) -> bool:
        """Whether the fused operator was measured faster."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...


PairDecider = Callable[[Gemm | Conv2d, Gemm | Conv2d, Tuner], PairAnswer]


@dataclass(frozen=True)
class PadChoice:
    """What was decided on one operator's channels.

    Attributes:
        padded: the operator with padded channels.
        plain_ns: median time without padding.
        padded_ns: median time with it, the copy of the activations included.
        pad: whether padding was faster.
        reason: why.
    """

    padded: Operator
    plain_ns: float
    padded_ns: float
    pad: bool
    reason: str = ""


PadDecider = Callable[[Gemm | Conv2d, Tuner], PadChoice | None]
"""None if the operator has nothing to pad."""


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
        subject: text of the operators in question.
        without_ns: median time if nothing is done, summed over the operators.
        with_ns: median time if it is done; NaN if that could not be measured.
        applied: whether it is done.
        reason: why.
    """

    kind: str
    subject: str
    without_ns: float
    with_ns: float
    applied: bool
    reason: str


@dataclass(frozen=True)
class Layer:
    """One kernel call of a built model.

    Attributes:
        operator: what it computes, pairs and padded operators as such.
        best: the candidate that is built in, and its times when it was tuned.
    """

    operator: Operator
    best: Measurement


def summary(layers: Sequence[Layer]) -> float:
    """Return the sum of the layers' median times in ns."""
    return sum(layer.best.median_ns for layer in layers)
