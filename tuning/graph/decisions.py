"""Asking what is faster, once per distinct question, and keeping the answers."""

from __future__ import annotations

from tuning.graph.options import Decision, GraphOptions, Tuner
from tuning.operators import Conv2d, Gemm, Operator, Pair


class Decider:
    """Questions about pairs and padding, as the options answer them.

    Attributes:
        made: every decision, applied or not, in order.
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
            found = self.options.decide_pair(pair.first, pair.second, self.tuner)
            apply = found.fuse and found.fused is not None
            self._known[pair] = pair if apply else None
            times = (found.unfused_ns, found.fused_ns)
            self.made.append(Decision("pair", pair.text(), *times, apply, found.reason))
        return self._known[pair] is not None

    def padded(self, operator: Operator) -> Operator | None:
        """Return the operator with padded channels if that is to run instead, else None."""
        if self.options.decide_padding is None or not isinstance(operator, Gemm | Conv2d):
            return None
        if operator not in self._known:
            found = self.options.decide_padding(operator, self.tuner)
            apply = found.pad and found.padded is not None
            padded: Operator | None = found.padded.operator if found.padded else None
            self._known[operator] = padded if apply else None
            if padded is not None:  # else there was nothing to pad, and no decision
                subject = f"{operator.text()} as {padded.text()}"
                times = (found.plain_ns, found.padded_ns)
                self.made.append(Decision("padding", subject, *times, apply, found.reason))
        return self._known[operator]
