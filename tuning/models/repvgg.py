"""RepVGG-A0, A1 and B0 (Ding et al., CVPR 2021, Table 2) and Bolt's variants of them."""

from __future__ import annotations

import torch
from torch import nn

from tuning.models.blocks import MODULES, ConvNorm, Foldable, convolution, fold_weights
from tuning.models.fold import fold_batch_norm
from tuning.models.variant import Variant

WIDTHS = {
    "repvgg_a0": (48, 48, 96, 192, 1280),
    "repvgg_a1": (64, 64, 128, 256, 1280),
    "repvgg_b0": (64, 64, 128, 256, 1280),
}
_DEPTHS = {
    "repvgg_a0": (1, 2, 4, 14, 1),
    "repvgg_a1": (1, 2, 4, 14, 1),
    "repvgg_b0": (1, 4, 6, 16, 1),
}


class Branches(Foldable):
    """3x3, 1x1 and (where the shape allows it) identity, each normalised, summed."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        has_identity = ins == outs and stride == 1
        gain = (2 + has_identity) ** -0.5
        self.large = ConvNorm(ins, outs, 3, stride, gain)
        self.small = ConvNorm(ins, outs, 1, stride, gain)
        self.identity = nn.BatchNorm2d(outs) if has_identity else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of the branches."""
        found = self.large(x) + self.small(x)
        return found if self.identity is None else found + self.identity(x)

    def scale_norms(self) -> None:
        """Let three branches have together the variance of one; the others scale themselves."""
        if self.identity is not None:
            self.identity.weight.mul_(3**-0.5)

    def folded(self) -> nn.Conv2d:
        """Return the one 3x3 convolution: smaller filters are its middle tap."""
        weight, bias = fold_weights(self.large.conv.weight, self.large.norm)
        small, small_bias = fold_weights(self.small.conv.weight, self.small.norm)
        weight[:, :, 1, 1] += small[:, :, 0, 0]
        bias = bias + small_bias
        if self.identity is not None:
            eye = torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device)
            same, same_bias = fold_weights(eye[:, :, None, None], self.identity)
            weight[:, :, 1, 1] += same[:, :, 0, 0]
            bias = bias + same_bias
        return convolution(weight, bias, self.large.conv)


# paper: bolt 3.3
class RepVgg(nn.Module):
    """A chain of blocks, each followed by its activation; mean over pixels; one dense layer."""

    def __init__(self, name: str, variant: Variant) -> None:
        super().__init__()
        widths = variant.widths or WIDTHS[name]
        parts: list[nn.Module] = []
        channels, blocks = 3, sum(_DEPTHS[name])
        for width, depth in zip(widths, _DEPTHS[name], strict=True):
            for index in range(depth):
                blocks -= 1
                parts.append(Branches(channels, width, 1 if index else 2))
                parts.append(MODULES[variant.activation]())
                channels = width
                if variant.deepen and blocks:
                    parts += [ConvNorm(width, width, 1), MODULES[variant.activation]()]
        self.blocks = nn.Sequential(*parts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, variant.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.classifier(torch.flatten(self.pool(self.blocks(x)), 1))

    def deploy(self) -> RepVgg:
        """Turn every block into one 3x3 convolution with bias, in place (section 3.3)."""
        fold_batch_norm(self)
        return self
