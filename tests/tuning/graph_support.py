"""A tuner that measures nothing, and small networks, for tests of the graph passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuning.operators import Operator
from tuning.space import Candidate, Measurement
from tuning.templates.cpu.library import CpuTemplates

if TYPE_CHECKING:
    import torch

THREADS = 2
ISA = "generic"
"""Compiles fastest; the kernels of every instruction set have tests of their own."""


@dataclass(frozen=True)
class Guessed:
    """An answer whose time is the operator's work: deterministic."""

    operator: Operator
    best: Measurement


class GuessingTuner:
    """Answers with small tiles for everything, so that few units are compiled.

    Attributes:
        asked: the operators in question, in order.
    """

    def __init__(self, library: CpuTemplates) -> None:
        self.library = library
        self.asked: list[Operator] = []

    def __call__(self, operator: Operator) -> Guessed:
        """Return a candidate as if it ran one operation per nanosecond."""
        self.asked.append(operator)
        candidate = min(self.library.native(operator), key=_tile_size)
        return Guessed(operator, Measurement(candidate, "ok", float(operator.flops)))


def _tile_size(candidate: Candidate) -> tuple[int, str]:
    params = candidate.params
    return int(params["tile_rows"]) * int(params["tile_vectors"]), candidate.text()


def library() -> CpuTemplates:
    """Return the templates that tests of the graph passes build with."""
    return CpuTemplates(ISA, THREADS)


def image(*shape: int) -> torch.Tensor:
    """Return the same random tensor for the same shape."""
    import torch

    generator = np.random.default_rng(list(shape))
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


def expected(model: torch.nn.Module, example: torch.Tensor) -> NDArray[np.float32]:
    """Return PyTorch's output."""
    import torch

    with torch.no_grad():
        return model.eval()(example).numpy()


def assert_equals(
    found: NDArray[np.float32], model: torch.nn.Module, example: torch.Tensor
) -> None:
    """Fail unless `found` is PyTorch's output; ours sums in another order, outputs are near 1."""
    np.testing.assert_allclose(found, expected(model, example), rtol=2e-5, atol=2e-5)


def run_by_tvm(module: Any, example: torch.Tensor) -> NDArray[np.float32]:
    """Return the output of a module that TVM lowers alone."""
    import tvm
    from tvm import relax

    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(example.numpy())).numpy()


def settle(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Return the model in evaluation mode with random parameters and statistics."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan = max(1, parameter[0].numel() if parameter.ndim > 1 else 16)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
            elif name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return model.eval()


def residual_net(activation: str = "relu") -> torch.nn.Module:
    """Return a small network with batch norm, pooling, a residual block and a classifier."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
            self.norm = nn.BatchNorm2d(8)
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.first = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 12, 1)
            self.short = nn.Conv2d(8, 12, 1)
            self.mean = nn.AdaptiveAvgPool2d(1)
            self.classify = nn.Linear(12, 5)
            self.act = getattr(nn.functional, activation)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.pool(self.act(self.norm(self.stem(x))))
            y = self.act(self.first_norm(self.first(x)))
            y = self.act(self.second(y) + self.short(x))
            return self.classify(torch.flatten(self.mean(y), 1))

    return settle(Net())


def flat_net() -> torch.nn.Module:
    """Return a network that flattens an image of many pixels before its classifier, as VGG."""
    from torch import nn

    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return settle(nn.Sequential(*layers, nn.Linear(6 * 4 * 4, 7), nn.ReLU(), nn.Linear(7, 3)))
