"""What is asked of the graph passes, and what they tell about their choices."""

from __future__ import annotations

from collections.abc import Callable
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
        """The fused operator's answer, None if there is no kernel for it."""
        ...

    @property
    def fuse(self) -> bool:
        """Whether the fused kernel was measured faster."""
        ...

    @property
    def unfused_ns(self) -> float:
        """Median time of the two kernels one after the other, 0 if not compared."""
        ...

    @property
    def fused_ns(self) -> float:
        """Median time of the one kernel, 0 if not compared."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...


class PadAnswer(Protocol):
    """What a decision on an operator's channels returns; `tuning.decide.PaddingDecision` is one."""

    @property
    def padded(self) -> Answer | None:
        """The padded operator's answer, None if there is nothing to pad."""
        ...

    @property
    def pad(self) -> bool:
        """Whether it was measured faster, the copies of the activations included."""
        ...

    @property
    def plain_ns(self) -> float:
        """Median time of the operator as it is, 0 if not compared."""
        ...

    @property
    def padded_ns(self) -> float:
        """Median time with padding and copies, 0 if not compared."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...


PairDecider = Callable[[Gemm | Conv2d, Gemm | Conv2d, Tuner], PairAnswer]
PadDecider = Callable[[Gemm | Conv2d, Tuner], PadAnswer]


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
        without_ns: median time if nothing is done, 0 if the two were not compared.
        with_ns: median time if it is done, 0 if the two were not compared.
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
