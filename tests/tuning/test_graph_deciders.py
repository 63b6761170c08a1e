"""Deciders: what times told is kept and recalled, what a busy machine left open is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from tests.tuning.graph_support import library
from tuning.decide import PaddingDecision, PairDecision, Race, Ratio
from tuning.graph.deciders import pad_decider, pair_decider
from tuning.graph.ledger import Ledger
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.profile import ProfileSettings
from tuning.records import RecordsWarning
from tuning.space import Candidate, Measurement
from tuning.tuner import Tuned

PAIR = Pair(Gemm(8, 4, 4), Gemm(8, 4, 4))
CONV = Conv2d(1, 5, 5, 3, 4)
PADDED = Conv2d(1, 5, 5, 4, 4)


def _tune(operator: Any) -> Tuned:
    return Tuned(operator, Measurement(Candidate("gemm", ()), "ok", 1.0), 1, 0.0, 0)


@pytest.mark.parametrize("busy", [False, True])
def test_only_what_times_told_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    asked = []

    def pair(first: Any, second: Any, tune: Any, race: Any) -> PairDecision:
        asked.append((first, second))
        alone, times = (tune(first), tune(second)), (2.0, 1.0, 1.0, 1.0)
        told = (tune(PAIR), not busy, Ratio(1.5, 1.4, 1.9, 9), *times, "said the test", busy)
        return PairDecision(*alone, *told)

    def pad(operator: Any, tune: Any, race: Any) -> PaddingDecision:
        asked.append(operator)
        told = (not busy, Ratio(1.5, 1.4, 1.9, 9), 2.0, 1.0, 1.0, 1.0, "said the test", busy)
        return PaddingDecision(tune(operator), tune(PADDED), cast("Any", None), *told)

    monkeypatch.setattr("tuning.graph.deciders.decide_pair", pair)
    monkeypatch.setattr("tuning.graph.deciders.decide_padding", pad)
    race, path = Race(library(), ProfileSettings(2)), tmp_path / "decisions.jsonl"
    for _ in range(2):
        ledger = Ledger(path)
        fuses, pads = pair_decider(_tune, race, ledger), pad_decider(_tune, race, ledger)
        choices = fuses(PAIR, _tune), pads(CONV, _tune)
        assert [choice.instead for choice in choices] == [PAIR, PADDED]
        assert [choice.applied for choice in choices] == [not busy] * 2
    assert len(asked) == (4 if busy else 2)
    assert path.exists() != busy


class _Fixture:
    """Deciders on one ledger; every question that reaches the race is in `asked`."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.asked = path, []
        self.best = Candidate("gemm", ())

        def pair(first: Any, second: Any, tune: Any, race: Any) -> PairDecision:
            self.asked.append("pair")
            alone = (tune(first), tune(second), tune(PAIR))
            return PairDecision(*alone, True, RATIO, 2.0, 1.0, 1.0, 1.0, "said the test")

        def pad(operator: Any, tune: Any, race: Any) -> PaddingDecision:
            self.asked.append("padding")
            told = (True, RATIO, 2.0, 1.0, 1.0, 1.0, "said the test")
            return PaddingDecision(tune(operator), tune(PADDED), cast("Any", None), *told)

        monkeypatch.setattr("tuning.graph.deciders.decide_pair", pair)
        monkeypatch.setattr("tuning.graph.deciders.decide_padding", pad)

    def tune(self, operator: Any) -> Tuned:
        return Tuned(operator, Measurement(self.best, "ok", 1.0), 1, 0.0, 0)

    def choices(self) -> list[Any]:
        race, ledger = Race(library(), ProfileSettings(2)), Ledger(self.path)
        given = (self.tune, race, ledger)
        fuses, pads = pair_decider(*given), pad_decider(*given)
        return [fuses(PAIR, self.tune).instead, pads(CONV, self.tune).instead]


RATIO = Ratio(1.5, 1.4, 1.9, 9)


def test_another_best_kernel_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = _Fixture(tmp_path / "decisions.jsonl", monkeypatch)
    for best, times in ((("a", 1), 1), (("a", 1), 1), (("a", 2), 2), (("a", 2), 2)):
        fixture.best = Candidate("gemm", (best,))
        assert fixture.choices() == [PAIR, PADDED]
        assert fixture.asked == ["pair", "padding"] * times


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("pair", Pair(Gemm(8, 4, 4, epilogue=Epilogue(("relu",))), Gemm(8, 4, 4))),
        ("pair", Gemm(8, 4, 4)),
        ("padding", Conv2d(1, 5, 5, 4, 4, epilogue=Epilogue(("relu",)))),
        ("padding", Conv2d(1, 5, 5, 5, 4)),
        ("padding", PAIR),
        ("padding", None),
    ],
)
def test_a_recorded_answer_to_another_question_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, found: Any
) -> None:
    fixture = _Fixture(tmp_path / "decisions.jsonl", monkeypatch)
    fixture.choices()
    lines = [json.loads(line) for line in fixture.path.read_text().splitlines()]
    for line in lines:
        if line["kind"] == kind:
            line["instead"] = found.to_dict() if found else None
    fixture.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.warns(RecordsWarning, match="is no answer; asked again"):
        assert fixture.choices() == [PAIR, PADDED]
    assert fixture.asked == ["pair", "padding", kind]
