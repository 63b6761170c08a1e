"""Data-sheet rates of GPUs, and profiled kernel rates where a paper measured them.

Sources: A100, H100, H200, B200 and MI300X from NanoFlow (OSDI '25), hardware table, with the
A100's bandwidth as BlendServe (ASPLOS '26) uses it (2,039 GB/s, SXM 80 GB); the others from the
vendors' data sheets. `flops` is dense FP16/BF16 with FP32 accumulation, without sparsity.
`link_bytes_s` is half of the data sheets' bidirectional rate between the GPUs of a machine:
NVLink 600, 900, 900, 1800 and (V100 SXM2) 300 GB/s, Infinity Fabric 896 GB/s, else PCIe
4.0 x16 (T4: 3.0).
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.registry import UnknownNameError

PCIE4_BYTES_S = 32e9


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as a manifest writes it.
        flops: peak dense FP16 floating-point operations per second.
        bandwidth_bytes_s: peak memory bandwidth.
        memory_bytes: capacity (decimal gigabytes as the data sheet says).
        profiled_gemm_flops: measured GEMM rate at large batches, or None.
        profiled_attention_bytes_s: measured decode-attention read rate, or None.
        link_bytes_s: peak rate at which it sends to other GPUs, one direction.
    """

    name: str
    flops: float
    bandwidth_bytes_s: float
    memory_bytes: int
    profiled_gemm_flops: float | None = None
    profiled_attention_bytes_s: float | None = None
    link_bytes_s: float = PCIE4_BYTES_S

    def rates(self, profiled: bool) -> tuple[float, float]:
        """Return (flop/s, bytes/s), data-sheet or profiled.

        Raises:
            ValueError: profiled rates are asked for and none are known.
        """
        if not profiled:
            return self.flops, self.bandwidth_bytes_s
        if self.profiled_gemm_flops is None or self.profiled_attention_bytes_s is None:
            raise ValueError(f"no profiled rates are known for {self.name}; use peak rates")
        return self.profiled_gemm_flops, self.profiled_attention_bytes_s


# A100: the times of BlendServe's Table 1 amount to 1,630-1,708 GB/s for attention and
# 205-223 TFLOP/s for GEMM.
_TABLE = (
    Gpu("a100-80", 312e12, 2039e9, 80_000_000_000, 220e12, 1707e9, 300e9),
    Gpu("h100", 989e12, 3352e9, 80_000_000_000, link_bytes_s=450e9),
    Gpu("h200", 989e12, 4800e9, 141_000_000_000, link_bytes_s=450e9),
    Gpu("b200", 2250e12, 8000e9, 192_000_000_000, link_bytes_s=900e9),
    Gpu("mi300x", 1307e12, 5300e9, 192_000_000_000, link_bytes_s=448e9),
    Gpu("rtx4090", 165.2e12, 1008e9, 24_000_000_000),
    Gpu("l4", 121e12, 300e9, 24_000_000_000),
    Gpu("v100", 125e12, 900e9, 32_000_000_000, link_bytes_s=150e9),
    Gpu("t4", 65e12, 320e9, 16_000_000_000, link_bytes_s=16e9),
)
GPUS = {gpu.name: gpu for gpu in _TABLE}


def gpu_named(name: str) -> Gpu:
    """Return the GPU called `name`.

    Raises:
        UnknownNameError: the table has none of that name.
    """
    if name not in GPUS:
        raise UnknownNameError("gpu", name, GPUS)
    return GPUS[name]
