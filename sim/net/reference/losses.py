"""Random loss before a link's queue."""

from __future__ import annotations

from typing import Protocol

from sim.net.links import Bernoulli, GilbertElliott, Loss
from sim.net.luck import Stream


class LossProcess(Protocol):
    """Decides on each packet that arrives."""

    def takes(self) -> bool:
        """Return whether the packet that arrives now is lost."""
        ...


class Independent:
    """Each packet is lost with the same probability."""

    def __init__(self, p: float, luck: Stream) -> None:
        self._p = p
        self._luck = luck

    def takes(self) -> bool:
        """Draw once."""
        return self._luck.uniform() < self._p


class TwoStates:
    """A chain of a good and a bad state that moves with each packet."""

    def __init__(self, loss: GilbertElliott, luck: Stream) -> None:
        self._loss = loss
        self._luck = luck
        self._bad = False

    def takes(self) -> bool:
        """Draw twice: for the state, then for the packet."""
        loss = self._loss
        moves = self._luck.uniform() < (loss.to_good if self._bad else loss.to_bad)
        self._bad ^= moves
        return self._luck.uniform() < (loss.loss_bad if self._bad else loss.loss_good)


def loss_process(loss: Loss | None, luck: Stream) -> LossProcess | None:
    """Return the process of a link; None where nothing is ever lost."""
    if isinstance(loss, GilbertElliott):
        return TwoStates(loss, luck)
    if isinstance(loss, Bernoulli) and loss.p > 0.0:
        return Independent(loss.p, luck)
    return None
