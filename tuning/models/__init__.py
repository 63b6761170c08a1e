"""Networks of the paper's end-to-end and co-design sections, with random weights, by name.

The definitions are ours, from the papers: VGG (Simonyan and Zisserman, 2015), ResNet (He et al.,
2016; the 50-layer one as v1.5, stride in the 3x3), RepVGG (Ding et al., 2021). Modules that define
layers import torch when they are imported; this one does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuning.models.variant import PLAIN, Variant
from tuning.operators import Operator

if TYPE_CHECKING:
    from torch import nn

FAMILIES = {
    "vgg16": "vgg",
    "vgg19": "vgg",
    "resnet18": "resnet",
    "resnet50": "resnet",
    "repvgg_a0": "repvgg",
    "repvgg_a1": "repvgg",
    "repvgg_b0": "repvgg",
}
MODELS = tuple(FAMILIES)
"""Names that `model`, `training_form` and `layers` take."""

__all__ = ["MODELS", "PLAIN", "Variant", "layers", "model", "outline", "training_form"]


def outline(name: str, variant: Variant = PLAIN) -> nn.Module:
    """Return the network in training form on torch's `meta` device: shapes without numbers.

    Raises:
        ValueError: no network has this name, or it does not have the variant.
    """
    import torch

    if name not in FAMILIES:
        raise ValueError(f"model: {name!r} is none of {', '.join(MODELS)}")
    family = FAMILIES[name]
    if family != "repvgg" and (variant.deepen or variant.widths):
        raise ValueError(f"variant: deepen and widths are of RepVGG, not of {name}")
    with torch.device("meta"):
        if family == "vgg":
            from tuning.models.vgg import Vgg

            return Vgg(name, variant).eval()
        if family == "resnet":
            from tuning.models.resnet import ResNet

            return ResNet(name, variant).eval()
        from tuning.models.repvgg import RepVgg

        return RepVgg(name, variant).eval()


def training_form(name: str, seed: int = 0, variant: Variant = PLAIN) -> nn.Module:
    """Return the network before its batch normalisations and branches are folded, in eval mode.

    Args:
        name: one of `MODELS`.
        seed: decides every weight and statistic; torch's global generator is not touched.
        variant: what differs from the paper's network.

    Raises:
        ValueError: no network has this name, or it does not have the variant.
    """
    from tuning.models.weights import initialise

    return initialise(outline(name, variant), seed, variant.activation)


def model(name: str, seed: int = 0, variant: Variant = PLAIN) -> nn.Module:
    """Return the network as it is run: convolutions, biases, activations, joins, pools.

    It takes NCHW float32 of (any batch, 3, `variant.image`, `variant.image`) and returns logits.

    Args:
        name: one of `MODELS`.
        seed: decides every weight.
        variant: what differs from the paper's network.

    Raises:
        ValueError: no network has this name, or it does not have the variant.
    """
    from tuning.models.fold import fold_batch_norm

    return fold_batch_norm(training_form(name, seed, variant)).requires_grad_(False)


def layers(name: str, batch: int, variant: Variant = PLAIN) -> list[tuple[Operator, int]]:
    """Return (operator, how often it occurs) of the network as it is run, in order.

    Raises:
        ValueError: no network has this name, or it does not have the variant.
    """
    from tuning.models.fold import fold_batch_norm
    from tuning.models.shapes import record

    return record(fold_batch_norm(outline(name, variant)), (batch, 3, variant.image, variant.image))
