"""Built models: PyTorch's numbers with each pass on and off, decisions applied as made, saved."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.needs import need
from tests.tuning.graph_support import (
    Guessed,
    GuessingTuner,
    assert_equals,
    flat_net,
    image,
    library,
    residual_net,
    settle,
)
from tuning.graph import (
    BuiltModel,
    Choice,
    GraphError,
    GraphOptions,
    Tuner,
    import_torch,
    optimise,
)
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError

pytestmark = pytest.mark.usefixtures("_capable")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


def _fuse(pair: Pair, tuner: Tuner) -> Choice:
    return Choice(pair, 2.0, 1.0, True, "said the test")


def _leave(pair: Pair, tuner: Tuner) -> Choice:
    return Choice(pair, 2.0, 3.0, False, "said the test")


def _pad_all(operator: Gemm | Conv2d, tuner: Tuner) -> Choice:
    def up(value: int) -> int:
        return -(-value // 4) * 4

    if isinstance(operator, Gemm):
        padded: Operator = dataclasses.replace(operator, n=up(operator.n), k=up(operator.k))
    else:
        padded = dataclasses.replace(
            operator,
            in_channels=up(operator.in_channels),
            out_channels=up(operator.out_channels),
        )
    changed = padded != operator
    return Choice(padded if changed else None, 2.0, 1.0, changed, "said the test")


OPTIONS = {
    "plain": GraphOptions(),
    "no epilogues": GraphOptions(fuse_epilogues=False),
    "pairs": GraphOptions(decide_pair=_fuse),
    "padding": GraphOptions(decide_padding=_pad_all),
    "all": GraphOptions(decide_pair=_fuse, decide_padding=_pad_all),
}


def _build(model: Any, example: Any, options: GraphOptions) -> BuiltModel:
    templates = library()
    return optimise(import_torch(model, example), GuessingTuner(templates), templates, options)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_residual_network_equals_pytorch(name: str) -> None:
    model, example = residual_net(), image(2, 3, 18, 16)
    built = _build(model, example, OPTIONS[name])
    assert_equals(built.run(example.numpy()), model, example)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_network_that_flattens_equals_pytorch(name: str) -> None:
    model, example = flat_net(), image(3, 3, 8, 8)
    built = _build(model, example, OPTIONS[name])
    assert_equals(built.run(example.numpy()), model, example)


def test_a_pair_is_one_layer_if_it_was_faster_and_two_if_not() -> None:
    model, example = residual_net(), image(1, 3, 16, 16)
    fused = _build(model, example, GraphOptions(decide_pair=_fuse))
    apart = _build(model, example, GraphOptions(decide_pair=_leave))
    assert len(apart.layers) == 5
    assert len(fused.layers) == 4
    assert sum(isinstance(layer.operator, Pair) for layer in fused.layers) == 1
    assert not any(isinstance(layer.operator, Pair) for layer in apart.layers)
    for built, applied in ((fused, True), (apart, False)):
        (decision,) = built.decisions
        assert (decision.kind, decision.choice.applied) == ("pair", applied)
        assert decision.choice.reason in decision.text()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_classifier_of_many_rows_per_image_equals_pytorch(name: str) -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(5, 7), nn.Linear(7, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(torch.relu(self.up(x))) + x

    model, example = settle(Net()), image(2, 3, 5)
    built = _build(model, example, OPTIONS[name])
    assert_equals(built.run(example.numpy()), model, example)


def test_padding_is_decided_once_per_operator_and_listed() -> None:
    example = image(1, 3, 8, 8)
    built = _build(flat_net(), example, GraphOptions(decide_padding=_pad_all))
    assert [decision.kind for decision in built.decisions] == ["padding"] * 3
    assert all(decision.choice.applied for decision in built.decisions)
    first = built.layers[0].operator
    assert isinstance(first, Conv2d)
    assert (first.in_channels, first.out_channels) == (4, 8)


def test_each_distinct_operator_is_tuned_once() -> None:
    from torch import nn

    layers = [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    model, example = settle(nn.Sequential(*(layers * 3))), image(1, 4, 6, 6)
    templates = library()
    tuner = GuessingTuner(templates)
    built = optimise(import_torch(model, example), tuner, templates)
    assert len(built.layers) == 3
    assert len(tuner.asked) == 1
    assert_equals(built.run(example.numpy()), model, example)


def test_a_saved_model_computes_the_same_and_tells_the_same(tmp_path: Path) -> None:
    model, example = residual_net(), image(1, 3, 16, 16)
    built = _build(model, example, GraphOptions(decide_pair=_leave))
    built.save(tmp_path / "model")
    loaded = BuiltModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.run(example.numpy()), built.run(example.numpy()))
    assert loaded.layers == built.layers
    assert loaded.decisions == built.decisions


@pytest.mark.parametrize("name", ["model.so", "weights.npz", "model.json"])
def test_a_damaged_saved_model_is_one_clear_error(tmp_path: Path, name: str) -> None:
    _build(residual_net(), image(1, 3, 16, 16), GraphOptions()).save(tmp_path)
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(GraphError, match="is no saved model"):
        BuiltModel.load(tmp_path)
    with pytest.raises(GraphError, match="is no saved model"):
        BuiltModel.load(tmp_path / "nowhere")


def test_an_image_of_another_shape_is_refused() -> None:
    built = _build(residual_net(), image(1, 3, 16, 16), GraphOptions())
    with pytest.raises(GraphError, match=r"image: has shape \(1, 3, 20, 16\)"):
        built.run(image(1, 3, 20, 16).numpy())


class _Failing(GuessingTuner):
    """Finds no kernel for what is in `fails`."""

    fails: tuple[type, ...] = (Gemm,)

    def __call__(self, operator: Operator) -> Guessed:
        if isinstance(operator, self.fails):
            raise NothingMeasuredError(f"{operator.text()}: nothing measured")
        return super().__call__(operator)


def test_an_operator_without_a_kernel_stays_with_tvm_and_is_named() -> None:
    network, example, templates = flat_net(), image(1, 3, 8, 8), library()
    options = GraphOptions(decide_padding=_pad_all)
    built = optimise(import_torch(network, example), _Failing(templates), templates, options)
    assert_equals(built.run(example.numpy()), network, example)
    assert len(built.layers) == 1
    assert all("nothing measured" in why for why in built.left.values())
    assert len(built.left) == 2


def test_a_model_without_any_kernel_fails_loudly() -> None:
    templates = library()
    tuner = _Failing(templates)
    tuner.fails = (Gemm, Conv2d)
    with pytest.raises(NothingMeasuredError):
        optimise(import_torch(flat_net(), image(1, 3, 8, 8)), tuner, templates)
