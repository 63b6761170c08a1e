"""Asking what is faster, once per distinct question, and keeping the answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tuning.graph.options import Choice, Decision, GraphOptions, Tuner
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError


class Decider:
    """Questions about pairs and padding, as the options answer them.

    Attributes:
        made: every decision, applied or not, in order; questions without an alternative are not.
    """

    def __init__(self, tuner: Tuner, options: GraphOptions) -> None:
        self.tuner = tuner
        self.options = options
        self.made: list[Decision] = []
        self._known: dict[Operator, Operator | None] = {}

    def fuses(self, pair: Pair) -> bool:
        """Whether both operators of a pair are to run as one kernel."""
        if self.options.decide_pair is None:
            return False
        if pair not in self._known:
            self._ask("pair", pair, partial(self.options.decide_pair, pair, self.tuner))
        return self._known[pair] is not None

    def padded(self, operator: Operator) -> Operator | None:
        """Return the operator with padded channels if that is to run instead, else None."""
        if self.options.decide_padding is None or not isinstance(operator, Gemm | Conv2d):
            return None
        if operator not in self._known:
            ask = partial(self.options.decide_padding, operator, self.tuner)
            self._ask("padding", operator, ask)
        return self._known[operator]

    def _ask(self, kind: str, operator: Operator, ask: Callable[[], Choice]) -> None:
        try:
            choice = ask()
        except NothingMeasuredError as error:  # nothing to compare with: it stays as it is
            choice = Choice(None, 0.0, 0.0, False, str(error))
        self._known[operator] = choice.instead if choice.applied else None
        if choice.instead is not None:
            self.made.append(Decision(kind, operator, choice))
