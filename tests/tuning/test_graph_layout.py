"""Layouts: transposes at the ends alone, and the same numbers."""

from __future__ import annotations

import pytest

from tests.needs import need
from tests.tuning.graph_support import (
    assert_equals,
    flat_net,
    image,
    residual_net,
    run_by_tvm,
    settle,
)
from tuning.graph import import_torch
from tuning.graph.layout import to_nhwc, transposes
from tuning.operators import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("_capable")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


# paper: bolt layout
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_classifier_has_one_transpose_whatever_its_activation(activation: str) -> None:
    model, example = residual_net(activation), image(2, 3, 16, 16)
    module = to_nhwc(import_torch(model, example))
    assert transposes(module) == 1
    assert_equals(run_by_tvm(module, example), model, example)


def test_the_transpose_before_a_flattened_classifier_goes_into_its_weights() -> None:
    model, example = flat_net(), image(2, 3, 8, 8)
    module = to_nhwc(import_torch(model, example))
    assert transposes(module) == 1
    assert_equals(run_by_tvm(module, example), model, example)


def test_an_image_as_result_is_given_back_in_nchw() -> None:
    from torch import nn

    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AvgPool2d(2)]
    model, example = settle(nn.Sequential(*layers)), image(1, 3, 8, 8)
    module = to_nhwc(import_torch(model, example))
    assert transposes(module) == 2
    assert_equals(run_by_tvm(module, example), model, example)


def test_operators_that_know_only_nchw_get_it() -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            y = torch.cat([y, torch.softmax(y, 1)], 1) + y.mean((2, 3), keepdim=True).repeat(
                1, 2, 1, 1
            )
            return y.flatten(2).mean(2)

    model, example = settle(Net()), image(1, 3, 4, 4)
    module = to_nhwc(import_torch(model, example))
    assert_equals(run_by_tvm(module, example), model, example)


def test_a_model_without_convolutions_is_left_as_it_is() -> None:
    from torch import nn

    model, example = settle(nn.Sequential(nn.Linear(6, 4), nn.ReLU())), image(3, 6)
    module = to_nhwc(import_torch(model, example))
    assert transposes(module) == 0
    assert_equals(run_by_tvm(module, example), model, example)
