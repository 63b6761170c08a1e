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
        ledger: answers what it knows, and keeps what was told by times; None decides anew.
    """

    def decide(pair: Pair) -> tuple[Choice, bool]:
        found = decide_pair(pair.first, pair.second, tune, race)
        instead = pair if found.fused else None
        times = (found.unfused_ns, found.fused_ns)
        choice = Choice(instead, *times, found.fuse, found.reason)
        return choice, found.ratio is not None and not found.busy

    return lambda pair, _: _recorded("pair", pair, race, ledger, lambda: decide(pair))


def pad_decider(tune: Tune, race: Race, ledger: Ledger | None = None) -> PadDecider:
    """Return what says whether an operator runs on padded channels; arguments as above."""

    def decide(operator: Gemm | Conv2d) -> tuple[Choice, bool]:
        found = decide_padding(operator, tune, race)
        instead = found.padded.operator if found.padded else None
        times = (found.plain_ns, found.padded_ns)
        choice = Choice(instead, *times, found.pad, found.reason)
        return choice, found.ratio is not None and not found.busy

    return lambda operator, _: _recorded(
        "padding", operator, race, ledger, lambda: decide(operator)
    )


def _recorded(
    kind: str,
    operator: Operator,
    race: Race,
    ledger: Ledger | None,
    decide: Callable[[], tuple[Choice, bool]],
) -> Choice:
    """Return the choice on record, or decide; only what times told is kept."""
    if ledger is None:
        return decide()[0]
    key = RecordKey.of(operator, race.library, race.settings)
    choice = ledger.find(kind, key)
    if choice is None:
        choice, told = decide()
        if told:
            ledger.append(kind, key, choice)
    return choice
