"""The oracle sends at its share of the capacity that it is shown."""

from __future__ import annotations

import math

import pytest

from policies.congestion.oracle import Oracle
from tests.congestion.rows import Driven


@pytest.mark.parametrize(("share", "rate"), [(1.0, 1e8), (0.25, 2.5e7)])
def test_it_paces_at_its_share_without_a_window(share: float, rate: float) -> None:
    flow = Driven(Oracle, share=share)
    assert (flow["cwnd"], flow["pacing_bps"]) == (math.inf, rate)


def test_it_is_an_oracle_that_reacts_to_nothing() -> None:
    assert Oracle.oracle
    assert Oracle.on_ack is Oracle.on_loss is Oracle.on_interval is None


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_a_share_must_be_positive(share: float) -> None:
    with pytest.raises(ValueError, match="share > 0"):
        Oracle.constants({"share": share})
