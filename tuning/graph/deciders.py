"""`tuning.decide` as the graph passes ask it: races, or answers on record."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tuning.decide import Race, decide_padding, decide_pair
from tuning.decide.widths import paddings
from tuning.graph.ledger import Ledger, Verdict
from tuning.graph.options import Choice, PadDecider, PairDecider
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError
from tuning.records import RecordKey, RecordsWarning
from tuning.space import Candidate
from tuning.tuner import Tuned

Tune = Callable[[Operator], Tuned]


def pair_decider(tune: Tune, race: Race, ledger: Ledger | None = None) -> PairDecider:
    """Return what says whether two operators run as one kernel.

    Args:
        tune: finds kernels; asked more than once about an operator, it gives the same answer.
        race: runs both ways side by side.
        ledger: answers what it knows, and keeps what was told by times; None decides anew.
    """

    def decide(pair: Pair) -> tuple[Choice, bool]:
        found = decide_pair(pair.first, pair.second, tune, race)
        instead = pair if found.fused else None
        times = (found.unfused_ns, found.fused_ns)
        choice = Choice(instead, *times, found.fuse, found.reason)
        return choice, found.ratio is not None and not found.busy

    def answer(pair: Pair) -> Choice:
        question = _Question("pair", pair, [pair], [pair.first, pair.second, pair])
        return _recorded(question, tune, race, ledger, lambda: decide(pair))

    return lambda pair, _: answer(pair)


def pad_decider(tune: Tune, race: Race, ledger: Ledger | None = None) -> PadDecider:
    """Return what says whether an operator runs on padded channels; arguments as above."""

    def decide(operator: Gemm | Conv2d) -> tuple[Choice, bool]:
        found = decide_padding(operator, tune, race)
        instead = found.padded.operator if found.padded else None
        times = (found.plain_ns, found.padded_ns)
        choice = Choice(instead, *times, found.pad, found.reason)
        return choice, found.ratio is not None and not found.busy

    def answer(operator: Gemm | Conv2d) -> Choice:
        wider = [p.padded for p in paddings(operator, race.library.device.vector_floats)]
        question = _Question("padding", operator, wider, [operator, *wider])
        return _recorded(question, tune, race, ledger, lambda: decide(operator))

    return lambda operator, _: answer(operator)


@dataclass(frozen=True)
class _Question:
    """What is asked, what may be the answer, and whose kernels it hangs on."""

    kind: str
    operator: Operator
    instead: Sequence[Operator]
    depends: Sequence[Operator]


def _recorded(
    question: _Question,
    tune: Tune,
    race: Race,
    ledger: Ledger | None,
    decide: Callable[[], tuple[Choice, bool]],
) -> Choice:
    """Return the choice on record, or decide; only what times told is kept.

    A verdict holds as long as the best kernels are those that were compared: another search or a
    larger budget may find better ones.
    """
    if ledger is None:
        return decide()[0]
    key = RecordKey.of(question.operator, race.library, race.settings)
    known = ledger.find(question.kind, key)
    if known is not None and _holds(known, question, ledger, tune):
        return known.choice
    choice, told = decide()
    if told:
        ledger.append(question.kind, key, Verdict(choice, dict(_best(question, tune))))
    return choice


def _holds(known: Verdict, question: _Question, ledger: Ledger, tune: Tune) -> bool:
    """Whether a verdict answers the question, by the best kernels; the file may hold anything."""
    choice = known.choice
    if choice.instead in question.instead:
        return dict(known.kernels) == dict(_best(question, tune))
    found = choice.instead.text() if choice.instead else "nothing"
    why = f"{found} in the place of {question.operator.text()} is no answer; asked again"
    warnings.warn(f"{ledger.path}: {question.kind}: {why}", RecordsWarning, stacklevel=2)
    return False


def _best(question: _Question, tune: Tune) -> Iterator[tuple[Operator, Candidate | None]]:
    for operator in question.depends:
        try:
            yield operator, tune(operator).best.candidate
        except NothingMeasuredError:
            yield operator, None
