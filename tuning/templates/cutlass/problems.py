"""The problems that a GPU is to be measured on: the paper's, by the names of its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.operators.epilogue import ACTIVATIONS

GEMMS = (
    *((1280, 3072, 768), (1280, 768, 768), (1280, 768, 3072)),
    *((1024, 1024, 1024), (2048, 2048, 2048)),
)
"""(m, n, k): `CONTRACT.md`, "GEMM list"; BERT at batch 32 and length 40, and two squares."""
CONVS = (
    *((56, 64, 64, 1), (56, 128, 128, 2), (28, 128, 128, 1), (28, 256, 256, 2)),
    *((14, 256, 256, 1), (14, 512, 512, 2), (7, 512, 512, 1)),
)
"""(height and width, channels in, out, stride) of ResNet-50's 3x3 convolutions; batch 32."""
GEMM_PAIRS = (
    *((2464, 1, 4, 4), (16384, 64, 256, 16), (32768, 128, 576, 64)),
    *((128320, 32, 96, 96), (204800, 64, 576, 128)),
)
"""(m, n0, k0, n1): the paper's Table 1, and the problem of CUTLASS's issue 99."""
CONV_PAIRS = (
    *((224, 3, 48, 2), (112, 48, 48, 2), (56, 48, 48, 1)),
    *((224, 3, 64, 2), (112, 64, 64, 2), (56, 64, 64, 1)),
)
"""(height and width, channels in, out, stride) of the paper's Table 2; then a 1x1."""
PADDED = (
    *((32, 20, 26, 46, 32, 3, 3, 1), (32, 20, 26, 46, 32, 5, 5, 2)),
    *((128, 14, 19, 46, 32, 5, 7, 0), (288, 11, 15, 46, 32, 5, 7, 0)),
    *((32, 20, 26, 174, 64, 3, 3, 1), (32, 20, 26, 174, 64, 5, 5, 2)),
)
"""(images, height, width, channels in, out, kernel, padding) of the paper's Table 3."""
_BATCH = 32


def _eight(channels: int) -> int:
    return -(-channels // 8) * 8


def gemms() -> list[Operator]:
    """Return the GEMM list, without epilogue and with bias and each activation."""
    chains = [(), ("bias",), *(("bias", step) for step in ACTIVATIONS)]
    return [Gemm(*shape, epilogue=Epilogue(chain)) for shape in GEMMS for chain in chains]


def convs() -> list[Operator]:
    """Return ResNet-50's 3x3 convolutions with bias and ReLU, and one with each activation."""
    relu = [_conv(size, given, made, stride, "relu") for size, given, made, stride in CONVS]
    return [*relu, *(_conv(56, 64, 64, 1, step) for step in ACTIVATIONS if step != "relu")]


def _conv(size: int, given: int, made: int, stride: int, activation: str) -> Conv2d:
    kernel, moves = (3, 3), ((stride, stride), (1, 1), (1, 1))
    epilogue = Epilogue(("bias", activation))
    return Conv2d(_BATCH, size, size, given, made, kernel, *moves, epilogue)


def pairs() -> list[Operator]:
    """Return the pairs of Tables 1 and 2, their halves after them; channels are padded to 8."""
    relu, biased = Epilogue(("relu",)), Epilogue(("bias", "relu"))
    found: list[Pair] = []
    for m, n0, k0, n1 in GEMM_PAIRS:
        columns = _eight(n0)
        first = Gemm(m, columns, _eight(k0), epilogue=relu)
        found.append(Pair(first, Gemm(m, _eight(n1), columns, epilogue=relu)))
    for size, given, made, stride in CONV_PAIRS:
        first = _conv(size, _eight(given), made, stride, "relu")
        image = (_BATCH, first.out_height, first.out_width, made, made)
        found.append(Pair(first, Conv2d(*image, (1, 1), epilogue=biased)))
    return [operator for pair in found for operator in (pair, pair.first, pair.second)]


def padding() -> list[Operator]:
    """Return the convolutions of Table 3, as they are and with channels padded to 8."""
    found: list[Operator] = []
    for n, h, w, given, made, r, s, around in PADDED:
        for channels in (given, _eight(given)):
            moves = ((1, 1), (around, around), (1, 1))
            epilogue = Epilogue(("bias", "relu"))
            found.append(Conv2d(n, h, w, channels, made, (r, s), *moves, epilogue))
    return found


def resnet50() -> list[Operator]:
    """Return every product of ResNet-50 at batch 32; its first convolution's channels padded."""
    from tuning.models import layers  # needs PyTorch

    found: list[Operator] = []
    for operator, _ in layers("resnet50", _BATCH):
        if isinstance(operator, Conv2d):
            operator = replace(operator, in_channels=_eight(operator.in_channels))
        found.append(operator)
    return found


SETS: dict[str, Callable[[], list[Operator]]] = {
    "gemm": gemms,
    "conv": convs,
    "pairs": pairs,
    "padding": padding,
    "resnet50": resnet50,
}


def problems(names: list[str]) -> list[Operator]:
    """Return the problems of the named sets, each once.

    Raises:
        ValueError: there is no set of that name.
    """
    if unknown := [name for name in names if name not in SETS]:
        raise ValueError(f"problems: {unknown[0][:40]!r} is none of {', '.join(SETS)}")
    return list(dict.fromkeys(operator for name in names for operator in SETS[name]()))
