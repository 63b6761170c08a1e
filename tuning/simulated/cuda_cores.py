"""Kernels without tensor cores: the most that a search which emits none can reach.

Ansor, the paper's rival, generates no tensor-core code. Its best program is not known here; what
can be said is how fast a tiled FP16 kernel is on the CUDA cores at best, by the same model. A
speed-up over that is less than one over what a search really finds.
"""

from __future__ import annotations

from sim.gpu.kernel import kernel_time
from sim.gpu.kernel_occupancy import Resources
from sim.gpu.kernel_work import KernelWork, Product
from tuning.operators import Conv2d, Gemm
from tuning.simulated.setting import Setting
from tuning.templates.cutlass.estimate import epilogue_ops, tensor_elements
from tuning.templates.cutlass.problem import problem_of

_DEPTH = 8
_TILES = (
    ((128, 128), (32, 64)),
    ((128, 64), (32, 64)),
    ((64, 128), (32, 64)),
    ((64, 64), (32, 32)),
    ((128, 32), (32, 32)),
    ((32, 128), (32, 32)),
)
"""Threadblock and warp tiles of CUTLASS's SIMT kernels; each thread has 8 x 8 sums or fewer."""
_BASE_REGISTERS = 48
_HALF = 2


def cuda_core_s(operator: Gemm | Conv2d, where: Setting) -> float:
    """Return the seconds of the fastest tile, epilogue included, sums in FP16."""
    return min(_seconds(operator, tile, warp, where) for tile, warp in _TILES)


def _seconds(
    operator: Gemm | Conv2d, tile: tuple[int, int], warp: tuple[int, int], where: Setting
) -> float:
    problem = problem_of(operator)
    width = _widest(problem.run_a), _widest(problem.run_b), _widest(problem.run_c)
    product = Product(
        *((problem.m, problem.n, problem.k), (*tile, _DEPTH), (*warp, _DEPTH)),
        access_a=width[0],
        access_b=width[1],
        run_a=_HALF * problem.run_a,
        run_b=_HALF * problem.run_b,
        a_bytes=_HALF * tensor_elements(operator),
        b_bytes=_HALF * problem.batch * problem.k * problem.n,
        epilogue_ops=epilogue_ops(operator),
        gathered=isinstance(operator, Conv2d) and not operator.is_pointwise,
    )
    warps = tile[0] * tile[1] // (warp[0] * warp[1])
    sums = warp[0] * warp[1] // 32
    shared = 2 * _HALF * _DEPTH * (tile[0] + tile[1])
    residual = problem.batch * problem.m * problem.n if operator.epilogue.has_residual else 0
    work = KernelWork(
        *((product,), problem.batch, _HALF, "float16", "simt", 1, 2, False, 1, 1, _HALF),
        access_c=width[2],
        residual_bytes=_HALF * residual,
        resources=Resources(32 * warps, sums + _BASE_REGISTERS, shared),
    )
    return kernel_time(work, where.gpu, where.constants).seconds


def _widest(run: int) -> int:
    """Return the bytes of the widest access that divides a run of FP16 values."""
    width = 16
    while _HALF * run % width:
        width //= 2
    return width
