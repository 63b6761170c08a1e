"""The networks: their size, that folding keeps what they compute, the operators read off them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.needs import need
from tuning.models import MODELS, Variant, layers, model, outline, training_form
from tuning.models.variant import aligned
from tuning.operators import ACTIVATIONS, Conv2d, Gemm

PARAMETERS = {
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
}
"""As the papers' 138 M, 144 M, 11.7 M, 25.6 M; the exact numbers are torchvision's."""

DEPLOYED = {"repvgg_a0": 8.31e6, "repvgg_a1": 12.79e6, "repvgg_b0": 14.34e6}
"""RepVGG, Table 4."""

SMALL = ("resnet18", "resnet50", "repvgg_a0", "repvgg_a1", "repvgg_b0")
LINEAR_LAYERS = {"vgg16": 16, "vgg19": 19, "resnet18": 21, "resnet50": 54, "repvgg_b0": 29}


@pytest.fixture(autouse=True)
def _torch():
    need("torch")


def _size(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _image(side: int, batch: int = 2):
    import torch

    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name):
    assert _size(outline(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", DEPLOYED)
def test_deployed_repvgg_has_the_published_size(name):
    assert _size(outline(name).deploy()) == pytest.approx(DEPLOYED[name], rel=1e-3)


# paper: bolt 3.3
@pytest.mark.parametrize(("name", "wanted"), [("repvgg_a0", 8.87e6), ("repvgg_b0", 15.51e6)])
def test_deepened_repvgg_is_larger_by_its_pointwise_filters(name, wanted):
    """Not the sizes of Bolt's Table 5, which would need 3x3 filters: see docs."""
    assert _size(outline(name, Variant(deepen=True)).deploy()) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("name", SMALL)
def test_folding_keeps_the_function(name):
    import torch

    from tuning.models.fold import fold_batch_norm

    network = training_form(name, seed=3, variant=Variant(image=64))
    with torch.no_grad():
        before = network(_image(64))
        after = fold_batch_norm(network)(_image(64))
        again = fold_batch_norm(network)(_image(64))
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert float((after - before).abs().max()) < 1e-5 * float(before.abs().max())
    assert torch.equal(again, after)


def test_statistics_are_no_identity():
    """Otherwise the test above would also pass if folding forgot a term."""
    import torch

    for norm in training_form("resnet18", variant=Variant(image=32)).modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            state = norm.state_dict()
            for name, plain in (
                ("weight", 1),
                ("bias", 0),
                ("running_mean", 0),
                ("running_var", 1),
            ):
                assert float((state[name] - plain).abs().max()) > 0.02


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "name", [n if n == "repvgg_a0" else pytest.param(n, marks=pytest.mark.extensive) for n in SMALL]
)
def test_signals_stay_in_range_through_depth(name, activation):
    import torch

    with torch.no_grad():
        found = model(name, 1, Variant(activation=activation, image=64))(_image(64))
    assert found.shape == (2, 1000)
    assert 0.05 < float(found.std()) < 200


def test_weights_come_from_the_seed_alone():
    import torch

    state = torch.get_rng_state()
    one, same, other = (model("resnet18", seed, Variant(image=32)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(one.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


@pytest.mark.parametrize("name", MODELS)
def test_layers_count_the_work_of_the_network(name):
    """FLOPs of the operators are those that torch itself counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tuning.models.fold import fold_batch_norm

    network = fold_batch_norm(outline(name))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(2, 3, 224, 224, device="meta"))
    found = layers(name, 2)
    assert sum(operator.flops * count for operator, count in found) == counter.get_total_flops()
    if name in LINEAR_LAYERS:
        assert sum(count for _, count in found) == LINEAR_LAYERS[name]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_hidden_layer_ends_in_its_epilogue(name, activation):
    found = layers(name, 1, Variant(activation=activation))
    last, _ = found[-1]
    assert isinstance(last, Gemm)
    assert last.epilogue.steps == ("bias",)
    blocks = {"resnet18": 8, "resnet50": 16}.get(name, 0)
    joined = sum(count for operator, count in found if operator.epilogue.has_residual)
    assert joined == blocks
    projections = {"resnet18": 3, "resnet50": 4}.get(name, 0)
    plain = sum(count for op, count in found[:-1] if op.epilogue.steps == ("bias",))
    assert plain == projections
    ending = sum(count for op, count in found if op.epilogue.steps[-1] == activation)
    assert ending == sum(count for _, count in found) - projections - 1


def test_deepened_layers_are_pairs_that_can_be_fused():
    from tuning.operators import Pair

    found = [op for op, _ in layers("repvgg_a0", 4, Variant(deepen=True)) if isinstance(op, Conv2d)]
    pointwise = [op for op in found if op.is_pointwise]
    assert pointwise
    for second in pointwise:
        made = (second.height, second.width, second.in_channels)
        first = next(op for op in found if (op.out_height, op.out_width, op.out_channels) == made)
        assert Pair(first, second).flops > second.flops


@pytest.mark.extensive
@pytest.mark.parametrize("name", SMALL)
def test_networks_can_be_exported(name):
    import torch

    network = model(name, 0, Variant(image=64, classes=10))
    given_image = _image(64, 1)
    program = torch.export.export(network, (given_image,))
    with torch.no_grad():
        assert torch.allclose(program.module()(given_image), network(given_image), atol=1e-4)


@given(st.tuples(*[st.integers(1, 5000)] * 5), st.integers(1, 64))
def test_aligned_widths_are_the_least_multiples(widths, multiple):
    for before, after in zip(widths, aligned(widths, multiple), strict=True):
        assert after % multiple == 0
        assert before <= after < before + multiple


@settings(max_examples=5, deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 5))
def test_any_widths_make_a_network(widths):
    import torch

    variant = Variant(widths=widths, deepen=True, image=32, classes=7)
    with torch.no_grad():
        assert model("repvgg_a0", 0, variant)(_image(32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"activation": "tanh"}, "activation"),
        ({"image": 16}, "image"),
        ({"classes": 0}, "classes"),
        ({"widths": (48, 48)}, "widths"),
        ({"widths": (48, 48, 0, 96, 96)}, "widths"),
    ],
)
def test_a_variant_that_cannot_be_is_refused(change, named):
    with pytest.raises(ValueError, match=named):
        Variant(**change)


def test_unknown_names_and_strange_variants_are_refused():
    with pytest.raises(ValueError, match="model: 'alexnet' is none of vgg16"):
        model("alexnet")
    with pytest.raises(ValueError, match="deepen"):
        layers("vgg16", 1, Variant(deepen=True))
