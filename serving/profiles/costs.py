"""Step costs of a GPU whose dense operators were measured (Vidur) and whose attention is a rate.

The rate of decode attention is not BlendServe's own (its Table 1), which it would be judged on,
but NanoFlow's: on 8 x A100 its Table 2 prints 28.89 ms estimated at 2,000 GB/s and 35.60 ms
measured for the same batch. Prefill attention runs at the profile's best GEMM rate, the LM head,
which the profile lacks, at what its GEMMs take per weight. Communication is left out.
"""

from __future__ import annotations

import numpy as np

from serving.density import ResourceModel
from serving.profiles.vidur import DenseProfile
from sim.gpu.attention_grid import no_grid
from sim.gpu.dense import NS_PER_S, rounded_up
from sim.gpu.models import LlmShape
from sim.gpu.overlap import Overlap
from sim.gpu.step_cost import StepCosts

# GPU -> bytes/s at which decode attention reads the KV cache (NanoFlow, OSDI '25, Table 2).
DECODE_ATTENTION_BYTES_S = {"a100-80": 2000e9 * 28.89 / 35.60}


def decode_attention_bytes_s(gpu: str) -> float:
    """Return the measured rate.

    Raises:
        ValueError: none is known for that GPU.
    """
    if gpu not in DECODE_ATTENTION_BYTES_S:
        known = ", ".join(DECODE_ATTENTION_BYTES_S)
        raise ValueError(f"rates: decode attention was measured on {known}, not on {gpu}")
    return DECODE_ATTENTION_BYTES_S[gpu]


def measured_costs(
    profile: DenseProfile,
    gpu: str,
    model: LlmShape,
    overlap: Overlap,
    *,
    max_tokens: int,
    gpus: int = 1,
    quantum: int = 1,
) -> StepCosts:
    """Return the costs of `model` on the group of `gpus` that the profile was read for.

    Raises:
        ValueError: the profile does not go as far as `max_tokens`, rounded up to the quantum, or
            no attention rate is known for the GPU.
    """
    tokens = rounded_up(max_tokens, quantum)
    bandwidth = decode_attention_bytes_s(gpu) * gpus
    return StepCosts(
        dense_ns=model.layers * profile.layer_ns(int(tokens[-1]))[tokens],
        sampled_ns=profile.head_ns(max_tokens),
        pair_ns=NS_PER_S * model.flops_per_pair / profile.gemm_flops(),
        kv_token_ns=NS_PER_S * model.kv_bytes_per_token * model.kv_copies(gpus) / bandwidth,
        attention=no_grid(),
        network_token_ns=0.0,
        fixed_ns=0.0,
        overlap_code=overlap.code,
        overlap_numbers=np.array(overlap.numbers, np.float64),
    )


def resources_of(costs: StepCosts, model: LlmShape) -> ResourceModel:
    """Return the rates that densities and optima use: those of the best batch size.

    No step computes a token faster, so the optimum stays a bound.
    """
    tokens = np.arange(1, costs.dense_ns.size)
    best_ns = float((costs.dense_ns[1:] / tokens).min())
    bytes_per_token = model.kv_bytes_per_token
    return ResourceModel(best_ns / NS_PER_S, costs.kv_token_ns / NS_PER_S, bytes_per_token)
