"""A network's products on a simulated GPU: each by its best kernel, with the paper's passes.

Only convolutions and dense layers are counted, with what is fused to them. Pools, the final
softmax and the change of layout at the network's ends are left out of every variant alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tuning.operators import Conv2d, Gemm, Operator
from tuning.simulated.choices import choose_padding, choose_pair, unfused_s
from tuning.simulated.cuda_cores import cuda_core_s
from tuning.simulated.setting import Setting, natives


@dataclass(frozen=True)
class NetworkTime:
    """Seconds of one call.

    Attributes:
        seconds: with padding, fused epilogues and back-to-back kernels where the model has them
            faster.
        apart_s: without back-to-back kernels.
        unfused_s: without fused epilogues either.
        cuda_cores_s: on CUDA cores, epilogues fused.
        pairs_fused: back-to-back kernels.
        padded: kernels on padded channels.
        operators: different operators.
        trials: native candidates of all of them.
    """

    seconds: float
    apart_s: float
    unfused_s: float
    cuda_cores_s: float
    pairs_fused: int
    padded: int
    operators: int
    trials: int


def network_time(layers: Sequence[tuple[Operator, int]], where: Setting) -> NetworkTime:
    """Return the time of all layers.

    Args:
        layers: (operator, how often it occurs), as `tuning.models.layers` gives them.
        where: GPU, types and constants.

    Raises:
        NoKernelError: an operator has no kernel.
        TypeError: an operator is no product.
    """
    counts: Counter[Gemm | Conv2d] = Counter()
    for operator, count in layers:
        if not isinstance(operator, Gemm | Conv2d):
            raise TypeError(f"{operator.text()}: is no single product")
        counts[operator] += count
    padding = {operator: choose_padding(operator, where) for operator in counts}
    apart = sum(padding[op].seconds * count for op, count in counts.items())
    saved, fused = _pairs(counts, {op: c.seconds for op, c in padding.items()}, where)
    return NetworkTime(
        seconds=apart - saved,
        apart_s=apart,
        unfused_s=sum(_unfused(op, where) * count for op, count in counts.items()),
        cuda_cores_s=sum(cuda_core_s(op, where) * count for op, count in counts.items()),
        pairs_fused=fused,
        padded=sum(count for op, count in counts.items() if padding[op].padded),
        operators=len(counts),
        trials=sum(len(natives(op, where)) for op in counts),
    )


def _unfused(operator: Gemm | Conv2d, where: Setting) -> float:
    """Return product and element-wise kernel, the product padded where that is faster."""
    fused = choose_padding(operator, where)
    apart = unfused_s(operator, where) if fused.plain_s is not None else fused.seconds
    if fused.plain_s is None or not fused.padded:
        return apart
    return apart - fused.plain_s + fused.seconds


def _pairs(
    counts: Counter[Gemm | Conv2d], alone: dict[Gemm | Conv2d, float], where: Setting
) -> tuple[float, int]:
    """Return the seconds that back-to-back kernels save, and their number.

    A convolution and the 1x1 one on its output are taken for neighbours where shapes say so, which
    holds for the networks here.
    """
    saved, fused = 0.0, 0
    left = Counter(counts)
    for first in counts:
        for second in counts:
            pairs = min(left[first], left[second])
            if not pairs or not _follows(first, second):
                continue
            choice = choose_pair(first, second, where)
            if choice.fused_s is None:
                continue
            gain = alone[first] + alone[second] - choice.fused_s
            if gain > 0:
                saved, fused = saved + pairs * gain, fused + pairs
                left[first] -= pairs
                left[second] -= pairs
    return saved, fused


def _follows(first: Gemm | Conv2d, second: Gemm | Conv2d) -> bool:
    if not (isinstance(first, Conv2d) and isinstance(second, Conv2d)) or first == second:
        return False
    made = (first.batch, first.out_height, first.out_width, first.out_channels)
    given = (second.batch, second.height, second.width, second.in_channels)
    shaped = made == given and second.is_pointwise and first.kernel != (1, 1)
    return shaped and not first.epilogue.has_residual
