"""Random networks through every pass, lowered by TVM: PyTorch's numbers come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.needs import need
from tests.tuning.graph_support import GuessingTuner, expected, image, library, run_by_tvm, settle
from tests.tuning.test_graph_build import OPTIONS
from tuning.graph import import_torch
from tuning.graph.layout import to_nhwc
from tuning.graph.partition import partition
from tuning.graph.select import select
from tuning.operators import ACTIVATIONS

if TYPE_CHECKING:
    import torch
    import tvm
    from torch import nn

pytestmark = [pytest.mark.usefixtures("_capable"), pytest.mark.extensive]


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


ADDED = {
    "residual": lambda x, act, side: act(x) + side(act(x)),
    "residual first": lambda x, act, side: act(side(x) + x),
    "twice": lambda x, act, side: x + x,
    "activated twice": lambda x, act, side: (y := act(x)) + y,
    "itself": lambda x, act, side: act(x) + x,
    "itself first": lambda x, act, side: x + act(x),
}
"""What a block may add; the last four add a product to itself, which is no residual."""


@st.composite
def blocks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return descriptions of one to four blocks."""
    block = st.fixed_dictionaries(
        {
            "out": st.integers(1, 9),
            "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
            "stride": st.integers(1, 2),
            "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
            "dilation": st.integers(1, 2),
            "bias": st.booleans(),
            "norm": st.booleans(),
            "activation": st.sampled_from([None, *ACTIVATIONS]),
            "after": st.sampled_from([None, "max", "mean", *ADDED]),
            "grouped": st.booleans(),
        }
    )
    return draw(st.lists(block, min_size=1, max_size=4))


def _network(described: list[dict[str, Any]], tail: str) -> nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, given: dict[str, Any], channels: int) -> None:
            super().__init__()
            self.given, out = given, given["out"]
            groups = channels if given["grouped"] and out % channels == 0 else 1
            shape = (given["kernel"], given["stride"], given["padding"], given["dilation"])
            self.conv = nn.Conv2d(channels, out, *shape, groups=groups, bias=given["bias"])
            self.norm = nn.BatchNorm2d(out) if given["norm"] else nn.Identity()
            self.side = nn.Conv2d(out, out, 1)
            name = given["activation"]
            self.act = getattr(functional, name) if name else nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.norm(self.conv(x))
            after = self.given["after"]
            if after in ADDED:
                return ADDED[after](x, self.act, self.side)
            x = self.act(x)
            if after in ("max", "mean") and min(x.shape[2:]) > 1:
                pool = functional.max_pool2d if after == "max" else functional.avg_pool2d
                return pool(x, 2)
            return x

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            channels = [3, *(given["out"] for given in described)]
            self.blocks = nn.Sequential(*map(Block, described, channels))
            self.classify = nn.LazyLinear(4) if tail != "image" else nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.blocks(x)
            if tail in ("flat", "rows"):
                x = torch.flatten(x, 1 if tail == "flat" else 2)
            return self.classify(x.mean((2, 3)) if tail == "mean" else x)

    return Net()


@given(described=blocks(), tail=st.sampled_from(["image", "mean", "flat", "rows"]), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_random_network_equals_pytorch(described: Any, tail: str, data: st.DataObject) -> None:
    import torch

    example = image(data.draw(st.integers(1, 2)), 3, 17, 14)
    network = _network(described, tail)
    try:
        with torch.no_grad():
            network.eval()(example)
    except RuntimeError:  # the image became smaller than a kernel
        return
    network = settle(network)
    options = OPTIONS[data.draw(st.sampled_from(sorted(OPTIONS)))]
    parts = partition(to_nhwc(import_torch(network, example)), epilogues=options.fuse_epilogues)
    chosen = select(parts, GuessingTuner(library()), options)
    wanted, found = expected(network, example), run_by_tvm(_plain(chosen.module), example)
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-5 * scale)


def _plain(module: tvm.IRModule) -> tvm.IRModule:
    """Return the module with kernels' functions as TVM's own: what they say they compute."""
    made = module.clone()
    for name, function in module.functions.items():
        if function.attrs and "Codegen" in function.attrs:
            made.update_func(name, function.without_attr("Codegen"))
    return made
