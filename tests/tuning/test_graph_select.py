"""Selection: of pairs that overlap the best, and no operator that computes something else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from tests.needs import need
from tests.tuning.decisions import FakeTuner
from tests.tuning.graph_support import GuessingTuner, image, library, settle
from tuning.graph import (
    Choice,
    GraphError,
    GraphOptions,
    PairDecider,
    Tuner,
    import_torch,
    optimise,
)
from tuning.graph.layout import to_nhwc
from tuning.graph.padding import widens
from tuning.graph.partition import partition
from tuning.graph.select import select
from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair

pytestmark = pytest.mark.usefixtures("_capable")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


def _saving(saved: Sequence[float]) -> PairDecider:
    """Return a decider by whose word the n-th different pair saves the n-th time."""
    left = list(saved)

    def decide(pair: Pair, tuner: Tuner) -> Choice:
        with_ns = 1.0
        saved_ns = left.pop(0)
        return Choice(pair, with_ns + saved_ns, with_ns, saved_ns > 0, "said the test")

    return decide


@pytest.mark.parametrize(
    ("saved", "wanted"),
    [
        ((3, 4, 3), "pair pair"),
        ((1, 9, 1), "conv2d pair conv2d"),
        ((5, 4, 0), "pair conv2d conv2d"),
        ((4, 5, 0), "conv2d pair conv2d"),
        ((0, 0, 0), "conv2d conv2d conv2d conv2d"),
    ],
)
def test_of_a_chain_of_pairs_those_that_save_most_run(saved: Sequence[float], wanted: str) -> None:
    from torch import nn

    layers = [nn.Conv2d(c, c + 1, 1) for c in range(3, 7)]
    parts = partition(to_nhwc(import_torch(settle(nn.Sequential(*layers)), image(1, 3, 4, 4))))
    options = GraphOptions(decide_pair=_saving(saved))
    chosen = select(parts, FakeTuner(), options)
    kinds = [type(layer.operator).__name__.lower() for layer in chosen.layers]
    assert " ".join(kinds) == wanted


def _other(operator: Gemm | Conv2d, tuner: Tuner) -> Choice:
    """Say that an operator runs as another one whose operands have fitting shapes."""
    other = dataclasses.replace(operator, epilogue=Epilogue(("bias", "gelu")))
    return Choice(other, 2.0, 1.0, True, "said the test")


def _other_pair(pair: Pair, tuner: Tuner) -> Choice:
    return Choice(Pair(pair.second, pair.second), 2.0, 1.0, True, "said the test")


@pytest.mark.parametrize(
    "options", [GraphOptions(decide_padding=_other), GraphOptions(decide_pair=_other_pair)]
)
def test_an_operator_that_computes_something_else_is_refused(options: GraphOptions) -> None:
    from torch import nn

    layers = [nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)]
    module = import_torch(settle(nn.Sequential(*layers)), image(1, 4, 4, 4))
    with pytest.raises(GraphError, match="does not compute"):
        optimise(module, GuessingTuner(library()), library(), options)


CONV, GEMM = Conv2d(1, 5, 5, 3, 4), Gemm(8, 3, 5)


@pytest.mark.parametrize(
    ("plain", "padded", "wanted"),
    [
        (CONV, Conv2d(1, 5, 5, 4, 4), True),
        (CONV, Conv2d(1, 5, 5, 4, 8), True),
        (CONV, Conv2d(1, 5, 5, 2, 4), False),
        (CONV, Conv2d(1, 5, 5, 4, 3), False),
        (CONV, Conv2d(1, 6, 5, 4, 4), False),
        (CONV, Conv2d(1, 5, 5, 4, 4, dilation=(2, 2)), False),
        (CONV, Conv2d(1, 5, 5, 4, 4, epilogue=Epilogue(("relu",))), False),
        (CONV, GEMM, False),
        (GEMM, Gemm(8, 4, 8), True),
        (GEMM, Gemm(9, 3, 5), False),
        (GEMM, Gemm(8, 3, 4), False),
        (GEMM, Gemm(8, 4, 8, constant_b=False), False),
        (GEMM, Pair(GEMM, Gemm(8, 3, 3)), False),
        (Gemm(8, 3, 5, constant_b=False), Gemm(8, 4, 8, constant_b=False), False),
    ],
)
def test_only_more_channels_of_the_same_operator_are_padding(
    plain: Gemm | Conv2d, padded: Operator, wanted: bool
) -> None:
    assert widens(plain, padded) == wanted
