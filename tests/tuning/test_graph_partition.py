"""Partition: every epilogue is found, told rightly, and nothing is fused that must not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.needs import need
from tests.tuning.graph_support import (
    assert_equals,
    expected,
    flat_net,
    image,
    residual_net,
    run_by_tvm,
    settle,
)
from tuning.graph import import_torch
from tuning.graph.functions import module_of, operator_of
from tuning.graph.layout import to_nhwc
from tuning.graph.partition import partition
from tuning.graph.patterns import epilogue_chains
from tuning.graph.walk import constant
from tuning.operators import ACTIVATIONS, Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.operators.reference import random_operands, reference, tolerance

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.usefixtures("_capable")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


def _with_constants(operator: Operator) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    """Return a module whose main is the operator, weights and biases being constants."""
    import tvm
    from tvm import relax

    arrays = random_operands(operator)
    function = module_of(operator, "main")["main"].without_attr("Codegen")
    names = [operand for operand in operator.operands()[:-1]]
    bound = {
        param: constant(arrays[operand.name])
        for param, operand in zip(function.params, names, strict=True)
        if operand.role in ("weight", "bias")
    }
    body = tvm.IRModule({"main": function})
    by_name = {param.name: value for param, value in bound.items()}
    return relax.transform.BindParams("main", by_name)(body), arrays


chains = st.sampled_from(epilogue_chains())


@given(chain=chains, kind=st.sampled_from(["conv2d", "gemm"]), data=st.data())
@settings(max_examples=40, deadline=None)
def test_what_a_function_computes_is_found_again(chain: Any, kind: str, data: Any) -> None:
    size = st.integers(1, 6)
    if kind == "gemm":
        m, n, k = (data.draw(size) for _ in range(3))
        operator: Operator = Gemm(m, n + 1, k, epilogue=Epilogue(chain))
    else:
        two = st.tuples(st.integers(1, 2), st.integers(1, 2))
        operator = Conv2d(
            data.draw(size),
            *(6, 7),
            data.draw(size),
            data.draw(size) + 1,
            kernel=data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
            stride=data.draw(two),
            padding=data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
            dilation=data.draw(two),
            epilogue=Epilogue(chain),
        )
    module, _ = _with_constants(operator)
    nodes = partition(module).nodes
    assert [node.operator for node in nodes] == [operator]
    assert len(nodes[0].args) == len(operator.operands()) - 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_function_of_an_operator_computes_its_reference(activation: str) -> None:
    import tvm
    from tvm import relax

    first = Conv2d(1, 5, 6, 3, 4, padding=(1, 1), epilogue=Epilogue(("bias", activation)))
    second = Conv2d(1, 5, 6, 4, 2, (1, 1), epilogue=Epilogue(("bias", "residual", activation)))
    for operator in (first, Pair(first, second)):
        module, arrays = module_of(operator, "main"), random_operands(operator)
        assert operator_of(module["main"]) == operator
        module["main"] = module["main"].without_attr("Codegen")
        machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
        operands = operator.operands()[:-1]
        found = machine["main"](*(tvm.runtime.tensor(arrays[o.name]) for o in operands)).numpy()
        close = tolerance(operator, arrays)
        np.testing.assert_allclose(found, reference(operator, arrays), rtol=close, atol=close)


# paper: bolt partition
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_residual_network_is_partitioned_wholly(activation: str) -> None:
    module = to_nhwc(import_torch(residual_net(activation), image(1, 3, 16, 16)))
    found = [node.operator.text() for node in partition(module).nodes]
    assert found == [
        f"conv2d 1x16x16x3-8 3x3 s2 p1 bias+{activation}",
        f"conv2d 1x4x4x8-8 3x3 s1 p1 bias+{activation}",
        "conv2d 1x4x4x8-12 1x1 s1 p0 bias",
        f"conv2d 1x4x4x8-12 1x1 s1 p0 bias+residual+{activation}",
        "gemm 1x5x12 bias",
    ]


def test_without_epilogues_products_stand_alone() -> None:
    module = to_nhwc(import_torch(flat_net(), image(1, 3, 8, 8)))
    found = [node.operator.epilogue for node in partition(module, epilogues=False).nodes]
    assert found == [Epilogue()] * 3


def test_a_value_that_others_need_is_not_fused_away() -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return torch.relu(y) * y

    module = to_nhwc(import_torch(settle(Net()), image(1, 3, 4, 4)))
    (node,) = partition(module).nodes
    assert node.operator.epilogue == Epilogue(("bias",))
    assert node.users == 2


SELF_ADDED = {
    "y + y": (lambda y: y + y, "bias"),
    "relu(y) + y": (lambda y: y.relu() + y, "bias"),
    "y + relu(y)": (lambda y: y + y.relu(), "bias"),
    "relu(y) + relu(y)": (lambda y: y.relu() + y.relu(), "bias"),
    "z + z": (lambda y: (z := y.relu()) + z, "bias+relu"),
}


@pytest.mark.parametrize("name", SELF_ADDED)
def test_a_product_that_is_added_to_itself_has_no_residual(name: str) -> None:
    from torch import nn

    tail, steps = SELF_ADDED[name]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return tail(self.conv(x))

    network, example = settle(Net()), image(1, 3, 4, 4)
    parts = partition(to_nhwc(import_torch(network, example)))
    assert [node.operator.epilogue.text() for node in parts.nodes] == [steps]
    assert_equals(run_by_tvm(parts.module, example), network, example)


def test_grouped_convolutions_and_other_activations_stay_with_tvm() -> None:
    from torch import nn

    layers = [nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 1), nn.ReLU6(), nn.Conv2d(4, 2, 1)]
    layers += [nn.Softplus(beta=2)]
    module = to_nhwc(import_torch(settle(nn.Sequential(*layers)), image(1, 4, 6, 6)))
    found = [node.operator.text() for node in partition(module).nodes]
    assert found == ["conv2d 1x4x4x4-4 1x1 s1 p0 bias", "conv2d 1x4x4x4-2 1x1 s1 p0 bias"]


def test_a_product_of_two_activations_keeps_its_batch() -> None:
    import torch
    from torch import nn

    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x @ x.transpose(1, 2), 2) @ x

    model, example = Attention(), image(2, 5, 3)
    nodes = partition(to_nhwc(import_torch(model, example))).nodes
    assert [node.operator for node in nodes] == [
        Gemm(5, 5, 3, batch=2, constant_b=False),
        Gemm(5, 3, 5, batch=2, constant_b=False),
    ]
    assert expected(model, example).shape == (2, 5, 3)
