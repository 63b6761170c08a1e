"""VGG-16 and VGG-19: configurations D and E of Simonyan and Zisserman (ICLR 2015), Table 1."""

from __future__ import annotations

import torch
from torch import nn

from tuning.models.blocks import MODULES
from tuning.models.variant import Variant

_WIDTHS = (64, 128, 256, 512, 512)
_DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_HIDDEN = 4096


class Vgg(nn.Module):
    """3x3 convolutions in five stages, each ended by a pool; three dense layers."""

    def __init__(self, name: str, variant: Variant) -> None:
        super().__init__()
        activation = MODULES[variant.activation]
        parts: list[nn.Module] = []
        channels = 3
        for width, depth in zip(_WIDTHS, _DEPTHS[name], strict=True):
            for _ in range(depth):
                parts += [nn.Conv2d(channels, width, 3, padding=1), activation()]
                channels = width
            parts.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*parts)
        side = variant.image // 2 ** len(_WIDTHS)
        self.classifier = nn.Sequential(
            nn.Linear(channels * side * side, _HIDDEN),
            activation(),
            nn.Linear(_HIDDEN, _HIDDEN),
            activation(),
            nn.Linear(_HIDDEN, variant.classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits; dropout is not part of inference."""
        return self.classifier(torch.flatten(self.features(x), 1))
