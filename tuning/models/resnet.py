"""ResNet-18 and ResNet-50 (He et al., CVPR 2016, Table 1); the latter strides in its 3x3 (v1.5)."""

from __future__ import annotations

import torch
from torch import nn

from tuning.models.blocks import MODULES, ConvNorm, Join
from tuning.models.variant import Variant

_DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
_STEM = 64
_LAST_GAIN = 0.3
"""Of a block's last normalisation, so that sums along 16 shortcuts stay of the order of 1."""


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, ins: int, width: int, stride: int, activation: str) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvNorm(ins, width, 3, stride),
            MODULES[activation](),
            ConvNorm(width, width, 3, gain=_LAST_GAIN),
        )
        self.shortcut = _shortcut(ins, width, stride)
        self.join = Join(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the joined branches; the shortcut is computed first, as a residual must be."""
        shortcut = self.shortcut(x)
        return self.join(self.main(x), shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the width, beside a shortcut."""

    expansion = 4

    def __init__(self, ins: int, width: int, stride: int, activation: str) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvNorm(ins, width, 1),
            MODULES[activation](),
            ConvNorm(width, width, 3, stride),
            MODULES[activation](),
            ConvNorm(width, width * self.expansion, 1, gain=_LAST_GAIN),
        )
        self.shortcut = _shortcut(ins, width * self.expansion, stride)
        self.join = Join(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the joined branches; the shortcut is computed first, as a residual must be."""
        shortcut = self.shortcut(x)
        return self.join(self.main(x), shortcut)


def _shortcut(ins: int, outs: int, stride: int) -> nn.Module:
    """Return a projection where the shape changes, else the identity."""
    if stride == 1 and ins == outs:
        return nn.Identity()
    return nn.Sequential(ConvNorm(ins, outs, 1, stride))


class ResNet(nn.Module):
    """Stem, four stages of blocks, mean over pixels, one dense layer."""

    def __init__(self, name: str, variant: Variant) -> None:
        super().__init__()
        block = Basic if name == "resnet18" else Bottleneck
        self.stem = nn.Sequential(
            ConvNorm(3, _STEM, 7, 2),
            MODULES[variant.activation](),
            nn.MaxPool2d(3, 2, 1),
        )
        parts: list[nn.Module] = []
        channels = _STEM
        for stage, depth in enumerate(_DEPTHS[name]):
            width = _STEM << stage
            for index in range(depth):
                stride = 2 if stage and not index else 1
                parts.append(block(channels, width, stride, variant.activation))
                channels = width * block.expansion
        self.blocks = nn.Sequential(*parts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, variant.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        pooled = self.pool(self.blocks(self.stem(x)))
        return self.classifier(torch.flatten(pooled, 1))
