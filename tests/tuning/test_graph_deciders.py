"""Deciders: what times told is kept and recalled, what a busy machine left open is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.tuning.graph_support import library
from tuning.decide import PaddingDecision, PairDecision, Race, Ratio
from tuning.graph.deciders import pad_decider, pair_decider
from tuning.graph.ledger import Ledger
from tuning.operators import Conv2d, Gemm, Pair
from tuning.profile import ProfileSettings
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
