"""Seconds that the kernel simulator gives a kernel: the pruner of the GPU's templates."""

from __future__ import annotations

from sim.gpu.kernel import KernelTime, kernel_time
from sim.gpu.kernel_constants import STANDARD, Constants
from sim.gpu.kernel_hardware import KernelGpu
from sim.gpu.kernel_occupancy import Resources
from sim.gpu.kernel_work import KernelWork, Product
from tuning.operators import Conv2d, Gemm, Operator
from tuning.templates.cutlass.architecture import ELEMENT_BITS
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import halves, problem_of

STEP_OPS = {"bias": 1.0, "residual": 1.0, "relu": 1.0, "hardswish": 4.0, "silu": 12.0}
CURVED_OPS = 20.0
"""Instructions per output and step: those in the table, and GELU (erf) and Softplus (log, exp)."""
_BASE, _PAIR_BASE = 36, 24
"""Registers of pointers, predicates and counters. With sums and fragments they come within 12 per
cent of what the compiler says of the kernels of `docs/gpu-kernels.md`."""
_GROUP_REGISTERS = 168
"""Of a thread of a Hopper kernel: the builder asks for them whatever the tile."""


def registers_of(kernel: Kernel) -> int:
    """Return about how many registers a thread needs, for want of the compiler's report."""
    if kernel.architecture.api == "3.x":
        return _GROUP_REGISTERS
    size = ELEMENT_BITS[kernel.element] // 8
    warp = kernel.warp1 if kernel.is_pair else kernel.warp
    fragment = (warp[0] + warp[1]) * kernel.instruction[2] * size // (4 * 32)
    if not kernel.is_pair:
        return min(255, kernel.accumulators + 2 * fragment + _BASE)
    return min(255, kernel.accumulators + fragment + _PAIR_BASE)


def work_of(operator: Operator, kernel: Kernel, registers: int | None = None) -> KernelWork:
    """Return what a call of `kernel` for `operator` does.

    Args:
        operator: what is computed; `candidates.rejected` must have nothing against it.
        kernel: how.
        registers: of a thread as the compiler reports them; estimated if None.
    """
    parts = halves(operator)
    size = ELEMENT_BITS[kernel.element] // 8
    out = ELEMENT_BITS[kernel.output] // 8
    shapes = [(kernel.tile, kernel.warp), (kernel.tile1, kernel.warp1)]
    products = []
    for place, (part, (tile, warp)) in enumerate(zip(parts, shapes, strict=False)):
        problem = problem_of(part)
        products.append(
            Product(
                *((problem.m, problem.n, problem.k), tile, warp),
                access_a=0 if place else kernel.align_a * size,
                access_b=kernel.align_b * size,
                run_a=problem.run_a * size,
                run_b=problem.run_b * size,
                a_bytes=tensor_elements(part) * size,
                b_bytes=problem.batch * problem.k * problem.n * size,
                epilogue_ops=epilogue_ops(part),
                gathered=isinstance(part, Conv2d) and not part.is_pointwise,
            )
        )
    last = problem_of(parts[-1])
    residual = last.batch * last.m * last.n * out if parts[-1].epilogue.has_residual else 0
    instruction = kernel.instruction
    return KernelWork(
        products=tuple(products),
        batch=problem_of(parts[0]).batch,
        element_bytes=size,
        accumulate=kernel.accumulate,
        unit="wgmma" if kernel.architecture.api == "3.x" else "mma",
        depth_step=instruction[2],
        stages=max(2, kernel.stages or 4),
        asynchronous=kernel.stages != 2 or kernel.architecture.api == "3.x",
        split_k=kernel.split_k,
        swizzle=kernel.swizzle,
        output_bytes=out,
        access_c=kernel.align_c * out,
        residual_bytes=residual,
        resources=Resources(kernel.threads, registers or registers_of(kernel), kernel.shared_bytes),
        staged=kernel.residence == "shared",
        cluster=kernel.cluster[:2],
    )


def tensor_elements(part: Gemm | Conv2d) -> int:
    """Return the elements behind A that are read; strides wider than the kernel skip pixels."""
    if isinstance(part, Gemm):
        return part.operands()[0].size
    touched = part.batch * part.in_channels
    for axis, (extent, out) in enumerate(
        ((part.height, part.out_height), (part.width, part.out_width))
    ):
        window, stride = part.kernel[axis], part.stride[axis]
        touched *= min(extent, out * min(window, stride) + max(0, window - stride))
    return touched


def epilogue_ops(part: Gemm | Conv2d) -> float:
    """Return instructions per output of the steps."""
    return sum(STEP_OPS.get(step, CURVED_OPS) for step in part.epilogue.steps)


def estimate(
    operator: Operator,
    kernel: Kernel,
    gpu: KernelGpu,
    registers: int | None = None,
    constants: Constants = STANDARD,
) -> KernelTime:
    """Return the simulator's time of one call of `kernel`.

    Raises:
        ValueError: a threadblock does not fit on this GPU.
    """
    return kernel_time(work_of(operator, kernel, registers), gpu, constants)
