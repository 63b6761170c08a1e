"""Asking what is faster, once per distinct question, and keeping the answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tuning.graph.options import Choice, Decision, GraphOptions, Tuner
from tuning.graph.padding import widens
from tuning.graph.walk import GraphError
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError

_LEAST_NS = 1.0


class Decider:
    """Questions about pairs and padding, as the options answer them.

    Attributes:
        made: every decision, applied or not, in order; questions without an alternative are not.
    """

    def __init__(self, tuner: Tuner, options: GraphOptions) -> None:
        self.tuner = tuner
        self.options = options
        self.made: list[Decision] = []
        self._known: dict[Operator, Choice] = {}

    def saves_ns(self, pair: Pair) -> float | None:
        """Return what one kernel for both operators of a pair saves, None if it is not faster."""
        if self.options.decide_pair is None:
            return None
        if pair not in self._known:
            self._ask("pair", pair, partial(self.options.decide_pair, pair, self.tuner))
        choice = self._known[pair]
        # Told by the ratios of rounds; the medians of both may be equal none the less.
        return max(choice.without_ns - choice.with_ns, _LEAST_NS) if choice.applied else None

    def padded(self, operator: Operator) -> Operator | None:
        """Return the operator with padded channels if that is to run instead, else None."""
        if self.options.decide_padding is None or not isinstance(operator, Gemm | Conv2d):
            return None
        if operator not in self._known:
            ask = partial(self.options.decide_padding, operator, self.tuner)
            self._ask("padding", operator, ask)
        choice = self._known[operator]
        return choice.instead if choice.applied else None

    def _ask(self, kind: str, operator: Operator, ask: Callable[[], Choice]) -> None:
        try:
            choice = ask()
        except NothingMeasuredError as error:  # nothing to compare with: it stays as it is
            choice = Choice(None, 0.0, 0.0, False, str(error))
        if choice.applied and not _computes_the_same(operator, choice.instead):
            found = choice.instead.text() if choice.instead else "nothing"
            raise GraphError(
                f"{kind}: {found} does not compute {operator.text()}; correct the decider"
            )
        self._known[operator] = choice
        if choice.instead is not None:
            self.made.append(Decision(kind, operator, choice))


def _computes_the_same(operator: Operator, instead: Operator | None) -> bool:
    if isinstance(operator, Gemm | Conv2d):
        return instead is not None and widens(operator, instead)
    return instead == operator
