"""Compute time, memory time and density of requests and of prefix subtrees.

BlendServe section 4 (performance model) and 5.1 (node density). Two things are as in the paper:
the p^2 term of prefill attention is dropped, and the weights' read is not part of Mem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.gpu.hardware import Gpu
from sim.gpu.models import LlmShape


# paper: blendserve 4
@dataclass(frozen=True)
class ResourceModel:
    """Seconds of compute per token and of memory per KV token read, for one model on one GPU.

    `kv_bytes_per_token` is what is stored, over all GPUs.
    """

    compute_s_per_token: float
    memory_s_per_kv_token: float
    kv_bytes_per_token: int

    @classmethod
    def of(
        cls, gpu: Gpu, model: LlmShape, *, profiled: bool = False, gpus: int = 1
    ) -> ResourceModel:
        """Return the rates of `model` on `gpus` ideal copies of `gpu`."""
        flops, bandwidth = (rate * gpus for rate in gpu.rates(profiled))
        kv_bytes = model.kv_bytes_per_token * model.kv_copies(gpus)
        return cls(model.flops_per_token / flops, kv_bytes / bandwidth, kv_bytes)

    def comp_s(self, tokens: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """Return Comp: 2 P tokens / compute, in seconds."""
        return np.asarray(tokens, np.float64) * self.compute_s_per_token

    def mem_s(
        self, prompt: NDArray[np.integer], output: NDArray[np.floating] | NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return Mem: (p d + d^2 / 2) KV tokens read / bandwidth, in seconds per request."""
        p, d = np.asarray(prompt, np.float64), np.asarray(output, np.float64)
        return (p * d + 0.5 * d * d) * self.memory_s_per_kv_token


# paper: blendserve 4
def ratio(comp_s: NDArray[np.float64], mem_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the density Comp / Mem; infinite where nothing is read, 0 where both are 0."""
    comp_s, mem_s = np.asarray(comp_s, np.float64), np.asarray(mem_s, np.float64)
    safe = np.where(mem_s > 0, mem_s, 1.0)
    return np.where(mem_s > 0, comp_s / safe, np.where(comp_s > 0, np.inf, 0.0))
