"""Kernels on random shapes: every instruction set, way of reaching A, epilogue and block size."""

from __future__ import annotations

import pytest

from tests.needs import need
from tests.tuning.fuzz_kernels import KINDS, failures, units
from tuning.templates.cpu.params import GATHERS, UNROLLS


@pytest.mark.extensive
def test_a_thousand_random_shapes_equal_the_reference() -> None:
    need("torch")
    assert list(failures(cases=1000, seed=0)) == []  # a case that did not run is a failure


def test_every_unroll_gather_and_kind_is_drawn() -> None:
    drawn = units(seed=0)
    assert {unit.compiled["unroll"] for unit in drawn} == set(UNROLLS)
    assert {unit.compiled["gather"] for unit in drawn} == set(GATHERS)
    assert {unit.kind for unit in drawn} == set(KINDS)
    assert {unit.compiled["aligned"] for unit in drawn} == {True, False}
