"""What the networks are made of: activations by name, joins, and what can be folded."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
}
"""Name of an epilogue step -> module; the defaults of torch are what the steps compute."""


class Join(nn.Module):
    """The activation of a sum: where a shortcut comes back."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = MODULES[activation]()

    def forward(self, main: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        """Return activation(main + shortcut)."""
        return self.activation(main + shortcut)


class Foldable(nn.Module, ABC):
    """A linear part of a network that equals one convolution with a bias."""

    def scale_norms(self) -> None:
        """Shrink what this part adds to others, so that sums over branches keep their size."""

    @abstractmethod
    def folded(self) -> nn.Conv2d:
        """Return the convolution."""


class ConvNorm(Foldable):
    """A convolution without bias and a batch normalisation.

    Args:
        ins: input channels.
        outs: output channels.
        kernel: height and width of the filter; the padding keeps the image's size at stride 1.
        stride: of both axes.
        gain: the normalisation's random weights are multiplied by it.
    """

    def __init__(self, ins: int, outs: int, kernel: int, stride: int = 1, gain: float = 1.0):
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outs)
        self._gain = (gain,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return norm(conv(x))."""
        return self.norm(self.conv(x))

    def scale_norms(self) -> None:
        """Multiply the normalisation's weights by `gain`."""
        self.norm.weight.mul_(self._gain[0])

    def folded(self) -> nn.Conv2d:
        """Return conv and norm as one convolution."""
        weight, bias = fold_weights(self.conv.weight, self.norm)
        return convolution(weight, bias, self.conv)


def fold_weights(weight: torch.Tensor, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return filter and bias, in float64, of a convolution followed by `norm` in eval mode.

    Raises:
        ValueError: the normalisation keeps no statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("norm: a normalisation without running statistics cannot be folded")
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return weight.double() * scale[:, None, None, None], bias


def convolution(weight: torch.Tensor, bias: torch.Tensor, like: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution with these numbers and the geometry of `like`."""
    padding = like.padding
    made = nn.Conv2d(
        like.in_channels,
        like.out_channels,
        (like.kernel_size[0], like.kernel_size[1]),
        (like.stride[0], like.stride[1]),
        padding if isinstance(padding, str) else (padding[0], padding[1]),
        device="meta",
    )
    made.weight = nn.Parameter(weight.float().detach())
    made.bias = nn.Parameter(bias.float().detach())
    return made
