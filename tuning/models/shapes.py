"""Which operators a network runs, read off the network itself on tensors without numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from tuning.models.blocks import MODULES, Join
from tuning.operators import Conv2d, Epilogue, Gemm, Operator

_STEPS = {kind: name for name, kind in MODULES.items()}


@dataclass
class _Layer:
    operator: Conv2d | Gemm
    output: torch.Tensor  # kept, so that its id is not given to another tensor


class _Recorder:
    """Forward hooks: linear layers open a record, what follows them becomes its epilogue."""

    def __init__(self) -> None:
        self.layers: list[_Layer] = []
        self._makers: dict[int, _Layer] = {}

    def linear(self, part: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        operator = _operator(part, given[0], output)
        layer = _Layer(operator, output)
        self.layers.append(layer)
        self._makers[id(output)] = layer

    def activation(self, part: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        if layer := self._makers.get(id(given[0])):
            _append(layer, _STEPS[type(part)])

    def join(self, part: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        if layer := self._makers.get(id(given[0])):
            _append(layer, "residual")
            _append(layer, _STEPS[type(part.get_submodule("activation"))])


def _append(layer: _Layer, step: str) -> None:
    steps = (*layer.operator.epilogue.steps, step)
    layer.operator = replace(layer.operator, epilogue=Epilogue(steps))


def _operator(part: nn.Module, given: torch.Tensor, output: torch.Tensor) -> Conv2d | Gemm:
    """Return the operator of a linear layer, with its bias for an epilogue."""
    if isinstance(part, nn.Linear):
        epilogue = Epilogue(() if part.bias is None else ("bias",))
        rows = given.numel() // part.in_features
        return Gemm(rows, part.out_features, part.in_features, epilogue=epilogue)
    if not isinstance(part, nn.Conv2d):
        raise TypeError(f"{type(part).__name__} is no linear layer")
    if part.groups != 1 or isinstance(part.padding, str):
        raise ValueError("groups: only convolutions of one group with padding in numbers are known")
    batch, _, height, width = given.shape
    found = Conv2d(
        batch,
        height,
        width,
        part.in_channels,
        part.out_channels,
        (part.kernel_size[0], part.kernel_size[1]),
        (part.stride[0], part.stride[1]),
        (part.padding[0], part.padding[1]),
        (part.dilation[0], part.dilation[1]),
        Epilogue(() if part.bias is None else ("bias",)),
    )
    if (found.out_height, found.out_width) != tuple(output.shape[2:]):
        raise ValueError(f"{found.text()}: torch makes {tuple(output.shape)} of it")
    return found


def record(network: nn.Module, shape: tuple[int, ...]) -> list[tuple[Operator, int]]:
    """Return (operator, count) of a network in the form that is run, in order of first use.

    Args:
        network: on the meta device, batch normalisations folded.
        shape: of the input, NCHW.

    Raises:
        ValueError: a convolution has groups, or padding that is no number.
    """
    recorder = _Recorder()
    hooks = []
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            hooks.append(part.register_forward_hook(recorder.linear))
        elif type(part) in _STEPS:
            hooks.append(part.register_forward_hook(recorder.activation))
        elif isinstance(part, Join):
            hooks.append(part.register_forward_hook(recorder.join))
    try:
        with torch.no_grad():
            network(torch.empty(shape, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    counts: dict[Operator, int] = {}
    for layer in recorder.layers:
        counts[layer.operator] = counts.get(layer.operator, 0) + 1
    return list(counts.items())
