"""`tuning.decide` as the graph passes ask it: races, or answers on record."""

from __future__ import annotations

from collections.abc import Callable

from tuning.decide import Race, decide_padding, decide_pair
from tuning.graph.ledger import Ledger
from tuning.graph.options import Choice, PadDecider, PairDecider
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.records import RecordKey
from tuning.tuner import Tuned

Tune = Callable[[Operator], Tuned]


def pair_decider(tune: Tune, race: Race, ledger: Ledger | None = None) -> PairDecider:
    """Return what says whether two operators run as one kernel.

    Args:
        tune: finds kernels.
        race: runs both ways side by side.
        ledger: answers what it knows, and keeps what is decided; None decides anew.
    """

    def decide(pair: Pair) -> Choice:
        found = decide_pair(pair.first, pair.second, tune, race)
        instead = pair if found.fused else None
        return Choice(instead, found.unfused_ns, found.fused_ns, found.fuse, found.reason)

    return lambda pair, _: _recorded("pair", pair, race, ledger, lambda: decide(pair))


def pad_decider(tune: Tune, race: Race, ledger: Ledger | None = None) -> PadDecider:
    """Return what says whether an operator runs on padded channels; arguments as above."""

    def decide(operator: Gemm | Conv2d) -> Choice:
        found = decide_padding(operator, tune, race)
        instead = found.padded.operator if found.padded else None
        return Choice(instead, found.plain_ns, found.padded_ns, found.pad, found.reason)

    return lambda operator, _: _recorded(
        "padding", operator, race, ledger, lambda: decide(operator)
    )


def _recorded(
    kind: str, operator: Operator, race: Race, ledger: Ledger | None, decide: Callable[[], Choice]
) -> Choice:
    if ledger is None:
        return decide()
    key = RecordKey.of(operator, race.library, race.settings)
    choice = ledger.find(kind, key)
    if choice is None:
        choice = decide()
        ledger.append(kind, key, choice)
    return choice
