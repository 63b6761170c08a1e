"""From training form to the form that is run: every foldable part becomes one convolution."""

from __future__ import annotations

import torch
from torch import nn

from tuning.models.blocks import Foldable


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Replace the foldable parts of `network`, in place, and return it.

    Arithmetic is in float64, so the result differs from the training form by float32 rounding.
    Folding twice changes nothing.
    """
    with torch.no_grad():
        for name, child in list(network.named_children()):
            if isinstance(child, Foldable):
                setattr(network, name, child.folded())
            else:
                fold_batch_norm(child)
    return network
