"""PyTorch to Relax: the same numbers, batch norm gone, models that do not fit refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.needs import need
from tests.tuning.graph_support import assert_equals, image, residual_net, run_by_tvm, settle
from tuning.graph import GraphError, import_torch
from tuning.graph.walk import call_name
from tuning.operators import ACTIVATIONS

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.usefixtures("_capable")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_imported_model_computes_what_pytorch_does(activation: str) -> None:
    model, example = residual_net(activation), image(2, 3, 16, 16)
    found = run_by_tvm(import_torch(model, example), example)
    assert_equals(found, model, example)


def test_batch_norm_is_folded_into_weights_and_bias() -> None:
    module = import_torch(residual_net(), image(1, 3, 16, 16))
    names = [call_name(binding.value) for binding in module["main"].body.blocks[0].bindings]
    assert "relax.nn.batch_norm" not in names
    assert names.count("relax.nn.conv2d") == 4


def test_batch_norm_without_a_convolution_before_it_is_kept_and_right() -> None:
    from torch import nn

    model, example = settle(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4, eps=0.5))), image(2, 4, 3, 3)
    found = run_by_tvm(import_torch(model, example), example)
    assert_equals(found, model, example)


def test_a_shared_convolution_is_not_changed_by_one_users_batch_norm() -> None:
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return self.norm(y) + y

    model, example = settle(Net()), image(1, 3, 5, 5)
    found = run_by_tvm(import_torch(model, example), example)
    assert_equals(found, model, example)


def test_dropout_and_pooling_to_the_same_size_vanish() -> None:
    from torch import nn

    layers = [nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Dropout()]
    model = settle(nn.Sequential(*layers))
    module = import_torch(model, image(1, 3, 6, 6))
    names = [call_name(binding.value) for binding in module["main"].body.blocks[0].bindings]
    assert [name for name in names if name] == [
        *("relax.nn.conv2d", "relax.add", "relax.reshape"),
    ]


def test_a_model_that_cannot_be_exported_is_one_clear_error() -> None:
    from torch import nn

    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(GraphError, match="model: cannot be imported"):
        import_torch(Branches(), image(1, 3, 4, 4))
