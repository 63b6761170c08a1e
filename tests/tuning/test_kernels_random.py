"""Kernels on random shapes: every instruction set, way of reaching A, epilogue and block size."""

from __future__ import annotations

import pytest

from tests.needs import need
from tests.tuning.fuzz_kernels import failures


@pytest.mark.extensive
def test_a_thousand_random_shapes_equal_the_reference() -> None:
    need("torch")
    assert list(failures(cases=1000, seed=0)) == []
