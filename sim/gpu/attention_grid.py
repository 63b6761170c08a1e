"""Attention times measured on a grid: prefill chunk x its KV x decoding requests x their KV.

The grid is that of LLMServingSim 2.0's profiler: one launch of the attention kernel for a chunk
of a prompt behind `prefill_kv` cached tokens beside `decodes` requests of `decode_kv` tokens
each. Between grid points times are interpolated linearly, beyond the last one extrapolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sim.gpu.step_cost import Batch


class AttentionGrid(NamedTuple):
    """Axes ascending, each from 0 on.

    Attributes:
        chunk: float64[a], tokens of the prefill chunk.
        prefill_kv: float64[b], tokens in the cache before it.
        decodes: float64[c], decoding requests.
        decode_kv: float64[d], KV tokens of each.
        ns: float64[a, b, c, d], time over all layers; empty if there is no grid.
    """

    chunk: NDArray[np.float64]
    prefill_kv: NDArray[np.float64]
    decodes: NDArray[np.float64]
    decode_kv: NDArray[np.float64]
    ns: NDArray[np.float64]


def no_grid() -> AttentionGrid:
    """Return the empty grid."""
    axis = np.zeros(0)
    return AttentionGrid(axis, axis, axis, axis, np.zeros((0, 0, 0, 0)))


@numba.njit(cache=True)
def _place(axis: np.ndarray, x: float) -> tuple[int, float]:
    """Return (i, f): x lies a fraction f behind axis[i], towards axis[i + 1]."""
    if axis.size < 2:
        return 0, 0.0
    i = 0
    while i < axis.size - 2 and x > axis[i + 1]:
        i += 1
    return i, (x - axis[i]) / (axis[i + 1] - axis[i])


@numba.njit(cache=True)
def _at(grid: AttentionGrid, chunk: float, prefill_kv: float, decodes: float, kv: float) -> float:
    """Return the interpolated time, at least 0."""
    a, fa = _place(grid.chunk, chunk)
    b, fb = _place(grid.prefill_kv, prefill_kv)
    c, fc = _place(grid.decodes, decodes)
    d, fd = _place(grid.decode_kv, kv)
    total = 0.0
    for corner in range(16):
        i, wi = (a + 1, fa) if corner & 1 else (a, 1.0 - fa)
        j, wj = (b + 1, fb) if corner & 2 else (b, 1.0 - fb)
        k, wk = (c + 1, fc) if corner & 4 else (c, 1.0 - fc)
        m, wm = (d + 1, fd) if corner & 8 else (d, 1.0 - fd)
        weight = wi * wj * wk * wm
        if weight != 0.0:
            total += weight * grid.ns[i, j, k, m]
    return max(0.0, total)


@numba.njit(cache=True)
def grid_ns(grid: AttentionGrid, batch: Batch) -> tuple[float, float]:
    """Return (prefill attention ns, decode attention ns) of a step.

    Requests count with their means: chunk and cached tokens of the prefilling ones, KV length of
    the decoding ones. Each prefilling request costs what it costs alone. Decodes beside a prefill
    are part of its launch and cost what they add to it, which is far more than alone (1.7 times on
    an RTX 4090 with FlashAttention 2: the kernel for chunks neither splits the KV cache nor packs
    query heads).
    """
    prefill, alone, chunk, context = 0.0, 0.0, 0.0, 0.0
    if batch.prefills > 0:
        chunk = batch.prefill_tokens / batch.prefills
        context = max(0.0, (batch.pairs / batch.prefills - 0.5 * chunk * (chunk + 1.0)) / chunk)
        chunk = max(chunk, grid.chunk[1])  # below it the grid turns into decoding alone
        alone = _at(grid, chunk, context, 0.0, 0.0)
        prefill = batch.prefills * alone
    if batch.decodes == 0:
        return prefill, 0.0
    kv = batch.kv_tokens / batch.decodes
    return prefill, max(0.0, _at(grid, chunk, context, float(batch.decodes), kv) - alone)
