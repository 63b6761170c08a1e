"""The workloads of Bolt's Tables 1 to 3, and the numbers that are remembered of them.

The numbers were not compared with the paper's text: marks, not facts. They are from a T4 in FP16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from tuning.operators import Conv2d, Epilogue, Gemm, Pair

Workload = TypeVar("Workload", Pair, Conv2d)

BATCH = 32
"""Of Table 2."""

_RELU = Epilogue(("relu",))
_BIAS_RELU = Epilogue(("bias", "relu"))


@dataclass(frozen=True)
class Row(Generic[Workload]):
    """One line of a table.

    Attributes:
        operator: what is measured.
        speedup: remembered: time of the way without over time of the way with.
        cost: remembered, Table 3 only: share of the copy in the padded way.
    """

    operator: Workload
    speedup: float
    cost: float | None = None


_GEMMS = (
    (2464, (1, 4), (4, 1), 1.24),
    (16384, (64, 256), (16, 64), 1.34),
    (32768, (128, 576), (64, 128), 1.28),
    (128320, (32, 96), (96, 32), 1.46),
)
"""(M, (N, K) of the first, (N, K) of the second, speed-up)."""

_CONVS = (
    (224, 3, 48, 2, 1.10),
    (112, 48, 48, 2, 1.41),
    (56, 48, 48, 1, 1.87),
    (224, 3, 64, 2, 1.24),
    (112, 64, 64, 2, 1.12),
    (56, 64, 64, 1, 2.02),
)
"""(H = W, IC, OC, stride of the 3x3, speed-up); the 1x1 is OC to OC."""

_PADDED = (
    (32, 20, 26, 46, 32, (3, 3), (1, 1), 1.62, 0.18),
    (32, 20, 26, 46, 32, (5, 5), (2, 2), 1.95, 0.09),
    (128, 14, 19, 46, 32, (5, 7), (0, 0), 1.77, 0.15),
    (288, 11, 15, 46, 32, (5, 7), (0, 0), 1.71, 0.18),
    (32, 20, 26, 174, 64, (3, 3), (1, 1), 1.60, 0.24),
    (32, 20, 26, 174, 64, (5, 5), (2, 2), 1.99, 0.12),
)
"""(N, H, W, IC, OC, kernel, padding, speed-up, cost)."""


def table_1(scale: float = 1.0) -> list[Row[Pair]]:
    """Return the back-to-back GEMMs, each with ReLU.

    Args:
        scale: rows M are multiplied by it.
    """
    rows = []
    for m, (n0, k0), (n1, k1), speedup in _GEMMS:
        here = _scaled(m, scale)
        first = Gemm(here, n0, k0, epilogue=_RELU)
        rows.append(Row(Pair(first, Gemm(here, n1, k1, epilogue=_RELU)), speedup))
    return rows


def table_2(batch: int = BATCH) -> list[Row[Pair]]:
    """Return the 3x3 and 1x1 convolutions of RepVGG's first layers, each with bias and ReLU."""
    rows = []
    for side, ins, outs, stride, speedup in _CONVS:
        strides, around = (stride, stride), (1, 1)
        first = Conv2d(batch, side, side, ins, outs, (3, 3), strides, around, epilogue=_BIAS_RELU)
        made = (first.out_height, first.out_width, outs)
        second = Conv2d(batch, *made, outs, (1, 1), epilogue=_BIAS_RELU)
        rows.append(Row(Pair(first, second), speedup))
    return rows


def table_3(scale: float = 1.0) -> list[Row[Conv2d]]:
    """Return the convolutions whose channels are no multiple of 8, without an epilogue.

    Args:
        scale: batches are multiplied by it.
    """
    rows = []
    for batch, height, width, ins, outs, kernel, around, speedup, cost in _PADDED:
        images = _scaled(batch, scale)
        conv = Conv2d(images, height, width, ins, outs, kernel, padding=around)
        rows.append(Row(conv, speedup, cost))
    return rows


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))
