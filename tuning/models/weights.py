"""Random weights from a seed, of a size that keeps signals of the order of 1 through depth."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from tuning.models.blocks import MODULES, Foldable

_NODES = 64
_IMAGE_CHANNELS = 3


def initialise(network: nn.Module, seed: int, activation: str) -> nn.Module:
    """Give `network`, made on the meta device, memory and numbers; return it.

    Weights are He et al.'s (ICCV 2015): normal with variance gain^2 / fan in, where gain^2 is
    the inverse second moment of the activation of a standard normal (2 for ReLU), and 1 for what
    reads the image, which has been through no activation. Biases are small. Statistics of batch
    normalisations are random, so that folding them is no identity.
    """
    generator = torch.Generator().manual_seed(seed)
    network = network.to_empty(device="cpu")
    gain = gain_of(activation)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                fan_in = math.prod(part.weight.shape[1:])
                own = 1.0 if part.weight.shape[1] == _IMAGE_CHANNELS else gain
                part.weight.normal_(0.0, own / math.sqrt(fan_in), generator=generator)
                if part.bias is not None:
                    part.bias.normal_(0.0, 0.05, generator=generator)
            elif isinstance(part, nn.BatchNorm2d):
                _initialise_norm(part, generator)
        for part in network.modules():
            if isinstance(part, Foldable):
                part.scale_norms()
    return network


def _initialise_norm(norm: nn.BatchNorm2d, generator: torch.Generator) -> None:
    norm.weight.uniform_(0.75, 1.25, generator=generator)
    norm.bias.normal_(0.0, 0.05, generator=generator)
    if norm.running_mean is not None and norm.running_var is not None:
        norm.running_mean.normal_(0.0, 0.1, generator=generator)
        norm.running_var.uniform_(0.7, 1.4, generator=generator)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.zero_()


def gain_of(activation: str) -> float:
    """Return 1 / sqrt(E[f(z)^2]) of a standard normal z, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    values = MODULES[activation]()(torch.from_numpy(nodes)).numpy()
    return float((np.sum(weights * values**2) / np.sum(weights)) ** -0.5)
