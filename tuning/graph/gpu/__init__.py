"""The graph passes for NVIDIA GPUs: the CPU's passes, then half precision and CUTLASS kernels.

TVM's own builds come without CUTLASS. Here its kernels are rendered, compiled by nvcc and linked
into the executable that TVM makes of the rest.
"""

from tuning.graph.gpu.build import GpuModel, optimise_gpu

__all__ = ["GpuModel", "optimise_gpu"]
