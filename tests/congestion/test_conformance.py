"""Every registered controller keeps the laws; a new file needs no line here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from policies.congestion.base import CONTROLLERS, CWND, PACING_BPS, Controller
from policies.congestion.hooks import hook
from policies.congestion.reno import Reno
from tests.congestion.conformance import ControllerConformance, same_bits

for _name in CONTROLLERS.names():
    _class = f"Test{_name.title().replace('_', '').replace('-', '')}"
    globals()[_class] = type(_class, (ControllerConformance,), {"controller": _name})


class TestCubicWithHystart(ControllerConformance):
    controller = "cubic"
    parameters = {"hystart": 1.0}  # noqa: RUF012


class TestCopaWithoutModes(ControllerConformance):
    controller = "copa"
    parameters = {"mode_switching": 0.0, "delta": 0.1}  # noqa: RUF012


@hook
def begin(state: Any, flow: Any, constants: Any) -> None:
    state[CWND] = 4.0
    state[PACING_BPS] = math.inf


@hook
def shrink(state: Any, event: Any, constants: Any) -> None:
    state[CWND] -= 1.0


@hook
def meddle(state: Any, event: Any, constants: Any) -> None:
    event[0] = 0.5


@hook
def overrun(state: Any, event: Any, constants: Any) -> None:
    state[state.size] = 1.0


@pytest.mark.parametrize(
    ("broken", "message"),
    [(shrink, "cwnd is 0.0"), (meddle, "changed its event"), (overrun, "behind the state")],
)
def test_a_controller_that_breaks_a_law_is_found(broken: Any, message: str) -> None:
    class Broken(Controller):
        init, on_ack = begin, broken

    class Laws(ControllerConformance):
        controller = Broken

    with pytest.raises(AssertionError, match=message):
        Laws().check_range([("ack", 6.0, 7.0, 1)] * 8)


def test_a_row_with_another_sign_of_zero_or_a_nan_is_told_apart() -> None:
    row = np.array([0.0, np.nan, 1.0])
    assert same_bits(row, row.copy())
    assert not same_bits(row, np.array([-0.0, np.nan, 1.0]))
    assert not same_bits(row, np.array([0.0, 1.0, 1.0]))


def test_a_class_is_as_good_as_a_name() -> None:
    laws = type("Laws", (ControllerConformance,), {"controller": Reno})()
    assert laws.it is Reno
