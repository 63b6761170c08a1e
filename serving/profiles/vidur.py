"""Vidur's profile of dense operators: `<model>_mlp.csv`, measured on one GPU of a TP group.

A row holds statistics of each operator of one layer, in ms, at one number of tokens and one
tensor-parallel degree. Several rows of one point are averaged. Wave quantisation is in it: on an
A100, 1,024 tokens take 2.2 times as long as 512. Not in it: attention, the LM head, communication.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.profiles.curves import Curve, curve, not_negative, positive
from serving.traces.base import TraceError, count
from serving.traces.columns import read_columns

NS_PER_MS = 1e6

# Operators of one layer, each once, as Vidur's `ExecutionTime` adds them up.
GEMMS = ("attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj")
OTHERS = ("input_layernorm", "attn_rope", "post_attention_layernorm", "mlp_act", "add")
_SHAPE = ("n_head", "n_kv_head", "n_embd", "n_expanded_embd", "vocab_size")


@dataclass(frozen=True, eq=False)
class DenseProfile:
    """Dense operators of one layer of a gated MLP decoder on one GPU of a group.

    Attributes:
        gemm: the four matrix products.
        gemm_std_ns: float64[k], standard deviation of their sum at each count of `gemm`.
        other: norms, rotary embedding, activation and residual, by the same counts.
        layer_weights: weights of a layer, over the whole group.
        head_weights: weights of the LM head, over the whole group.
    """

    gemm: Curve
    gemm_std_ns: NDArray[np.float64]
    other: Curve
    layer_weights: int
    head_weights: int

    def layer_ns(self, last: int) -> NDArray[np.float64]:
        """Return float64[last + 1], all operators of a layer by tokens."""
        return self.gemm.table(last) + self.other.table(last)

    def gemm_flops(self) -> float:
        """Return the best rate of the GEMMs over all counts, in flop/s of the whole group."""
        per_token = self.gemm.ns / self.gemm.counts
        return 2.0 * self.layer_weights / float(per_token.min()) * 1e9

    def head_ns(self, last: int) -> NDArray[np.float64]:
        """Return float64[last + 1], the LM head by sequences.

        It is not in the profile: it takes what the layer's GEMMs take per weight.
        """
        return self.gemm.table(last) * (self.head_weights / self.layer_weights)


def read_dense(path: Path, gpus: int) -> DenseProfile:
    """Read the rows of tensor-parallel degree `gpus`; an operator's time is its median.

    Raises:
        TraceError: the file or a row is malformed, or holds no such degree.
    """
    statistics = [f"time_stats.{name}.median" for name in (*GEMMS, *OTHERS)]
    deviations = [f"time_stats.{name}.std" for name in GEMMS]
    wanted = (*statistics, *deviations, *_SHAPE, "num_tokens", "num_tensor_parallel_workers")
    found: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    shape, degrees = {}, set()
    for row, fields in read_columns(path, wanted):
        degree = "num_tensor_parallel_workers"
        degrees.add(count(path, row, degree, fields[degree]))
        if int(fields[degree]) != gpus:
            continue
        shape = {name: count(path, row, name, fields[name]) for name in _SHAPE}
        times = [positive(path, row, name, fields[name]) for name in statistics]
        variance = sum(not_negative(path, row, n, fields[n]) ** 2 for n in deviations)
        tokens = count(path, row, "num_tokens", fields["num_tokens"])
        gemm, other = sum(times[: len(GEMMS)]), sum(times[len(GEMMS) :])
        found[tokens].append((gemm, other, variance))
    if not found:
        message = f"holds nothing for {gpus} GPUs; found {sorted(degrees)}"
        raise TraceError(path, None, "num_tensor_parallel_workers", message)
    means = {tokens: np.mean(rows, axis=0) for tokens, rows in found.items()}
    return DenseProfile(
        gemm=curve({tokens: float(row[0]) * NS_PER_MS for tokens, row in means.items()}),
        gemm_std_ns=NS_PER_MS * np.sqrt([means[tokens][2] for tokens in sorted(means)]),
        other=curve({tokens: float(row[1]) * NS_PER_MS for tokens, row in means.items()}),
        layer_weights=_layer_weights(shape),
        head_weights=shape["n_embd"] * shape["vocab_size"],
    )


def _layer_weights(shape: dict[str, int]) -> int:
    hidden, wide = shape["n_embd"], shape["n_expanded_embd"]
    kv = hidden // shape["n_head"] * shape["n_kv_head"]
    return hidden * (2 * hidden + 2 * kv + 3 * wide)
