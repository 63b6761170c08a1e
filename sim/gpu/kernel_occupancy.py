"""How many threadblocks of a kernel a multiprocessor holds at once.

The rules of NVIDIA's occupancy calculator (`cuda_occupancy.h` of the CUDA toolkit) for compute
capabilities 7.5 to 9.0: registers are given to warps in units of 256, within four parts of the
register file; shared memory in units of 128 or 256 bytes, with 1 KiB per block for the runtime from
8.0 on. A test compares the two where the toolkit is installed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.gpu.kernel_hardware import MAX_THREAD_REGISTERS, REGISTERS, KernelGpu

WARP_THREADS = 32
_PARTS = 4
_REGISTER_UNIT = 256
_MOST_THREADS = 1024


@dataclass(frozen=True)
class Resources:
    """What a threadblock takes.

    Attributes:
        threads: of a threadblock.
        registers: of a thread, as the compiler reports them.
        shared_bytes: static and dynamic shared memory of a threadblock.
    """

    threads: int
    registers: int
    shared_bytes: int


def blocks_per_sm(resources: Resources, gpu: KernelGpu) -> tuple[int, str]:
    """Return (resident threadblocks, what limits them); 0 if a threadblock does not fit at all.

    The limit is `threads`, `blocks`, `registers` or `shared memory`; the first of them in a tie.

    Raises:
        ValueError: a resource is out of range.
    """
    if not 1 <= resources.threads <= _MOST_THREADS:
        raise ValueError(f"threads: {resources.threads} is not between 1 and {_MOST_THREADS}")
    if resources.registers < 1 or resources.shared_bytes < 0:
        raise ValueError(f"registers: {resources} cannot be")
    warps = -(-resources.threads // WARP_THREADS)
    limits = {
        "threads": gpu.max_threads // WARP_THREADS // warps,
        "blocks": gpu.max_blocks,
        "registers": _by_registers(resources.registers, warps),
        "shared memory": _by_shared(resources.shared_bytes, gpu),
    }
    least = min(limits, key=lambda name: limits[name])
    return limits[least], least


def _by_registers(registers: int, warps: int) -> int:
    """Each of the four parts holds whole warps; a block at the limit of all must fit by itself."""
    if registers > MAX_THREAD_REGISTERS:
        return 0
    per_warp = -(-registers * WARP_THREADS // _REGISTER_UNIT) * _REGISTER_UNIT
    allocated = -(-warps // _PARTS) * _PARTS
    if per_warp * allocated > REGISTERS:  # its warps are spread over the parts evenly
        return 0
    return REGISTERS // _PARTS // per_warp * _PARTS // warps


def _by_shared(wanted: int, gpu: KernelGpu) -> int:
    if wanted > gpu.block_shared_bytes:
        return 0
    taken = -(-(wanted + gpu.reserved_bytes) // gpu.shared_unit_bytes) * gpu.shared_unit_bytes
    return gpu.shared_bytes // taken if taken else gpu.max_blocks
