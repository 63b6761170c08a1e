"""CUTLASS as a template library: for one target of nvcc, one GPU of the table, one precision.

It has the same contract as the CPU's templates. What it cannot do without a GPU is measure:
`tuning.templates.cutlass.export` writes what a machine with one compiles, checks and times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sim.gpu.kernel_hardware import kernel_gpu
from tuning.compile import Compiled, ObjectCache
from tuning.operators import Operator
from tuning.space import Candidate, Device
from tuning.templates.base import Source
from tuning.templates.cutlass import candidates as choice
from tuning.templates.cutlass import headers
from tuning.templates.cutlass.architecture import architecture
from tuning.templates.cutlass.estimate import estimate
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import HALF, Precision
from tuning.templates.cutlass.render import unit
from tuning.templates.cutlass.resources import Resources, of_symbols

COMPILE_TIMEOUT_S = 900.0
"""A unit of several Hopper kernels takes minutes on a machine that does other things too."""
UNIT_KERNELS = 8
"""Kernels of a translation unit: reading the headers costs as much as about seven kernels."""
_HEAVIER = 4
"""A kernel of the collective builder compiles as long as so many of the 2.x templates."""


class CutlassTemplates:
    """The library for one architecture.

    Args:
        gpu: name in `sim.gpu.kernel_hardware`.
        arch: target of nvcc; None: the GPU's own. An H100 or H200 also takes `sm_90a`.
        precision: types of the tensors.

    Raises:
        ValueError: there is no such GPU or architecture, or one does not run the other's code.
    """

    name = "cutlass"
    compiler = unit.COMPILER

    def __init__(self, gpu: str, arch: str | None = None, precision: Precision = HALF) -> None:
        self.gpu = kernel_gpu(gpu)
        self.arch = architecture(arch or self.gpu.arch).name
        if self.arch.removesuffix("a") != self.gpu.arch:
            raise ValueError(f"arch: {gpu} runs {self.gpu.arch}, not {self.arch}")
        self.precision = precision
        self.version = unit.version()
        self.device = Device(
            name=f"{gpu} {self.arch}",
            vector_floats=32,
            vector_registers=255,
            cores=self.gpu.sms,
            l1_bytes=self.gpu.shared_bytes,
            l2_bytes=self.gpu.l2_bytes // self.gpu.sms,
            l3_bytes=self.gpu.l2_bytes,
            flops=self.gpu.peak_flops(precision.accumulate) / self.gpu.sms,
            bandwidth_bytes_s=self.gpu.dram_bytes_s,
        )

    def candidates(self, operator: Operator) -> list[Candidate]:
        """Return the whole space that is legal for the operator."""
        found = choice.candidates(operator, self.arch, self.precision)
        return [kernel.to_candidate() for kernel in found]

    def native(self, operator: Operator) -> list[Candidate]:
        """Return tens of candidates, best guess first."""
        found = choice.native(operator, self.arch, self.gpu.sms, self.precision)
        return [kernel.to_candidate() for kernel in found]

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        """Return why the candidate cannot compute the operator, or None."""
        try:
            kernel = Kernel.from_candidate(candidate)
        except ValueError as error:
            return str(error)
        if kernel.arch != self.arch:
            return f"is for {kernel.arch}, not {self.arch}"
        own = Precision(kernel.element, kernel.accumulate, kernel.output)
        if own != self.precision:
            return f"computes in {own}, not {self.precision}"
        return choice.rejected(operator, kernel)

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        """Return the candidate's source, a unit of one kernel.

        Raises:
            ValueError: the candidate is no kernel of this library.
            NoHeadersError: CUTLASS's headers are not here.
        """
        if reason := self.rejected(operator, candidate):
            raise ValueError(f"candidate: {reason}")
        return with_headers(unit.render([Kernel.from_candidate(candidate)]))

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        """Return the simulator's seconds for one call.

        Raises:
            ValueError: a threadblock does not fit on this GPU.
        """
        return estimate(operator, Kernel.from_candidate(candidate), self.gpu).seconds


def with_headers(source: Source) -> Source:
    """Return the source with the folders that its headers are in.

    Raises:
        NoHeadersError: they are not here.
    """
    return replace(source, folders=headers.folders())


def units(kernels: Sequence[Kernel], most: int = UNIT_KERNELS) -> list[list[Kernel]]:
    """Return the kernels in groups that one translation unit each should hold.

    Kernels of one group share their target; most headers serve all families. Those of 3.x, which
    compile for half a minute each, are fewer to a group.
    """
    shelves: dict[str, list[Kernel]] = {}
    for kernel in sorted(kernels, key=lambda kernel: kernel.family):  # fewer headers per group
        shelves.setdefault(kernel.arch, []).append(kernel)
    found = []
    for arch, shelf in shelves.items():
        count = max(1, most // _HEAVIER) if architecture(arch).api == "3.x" else most
        found += [shelf[start : start + count] for start in range(0, len(shelf), count)]
    return found


def compile_units(
    groups: Sequence[Sequence[Kernel]], folder: Path | None = None, jobs: int | None = None
) -> list[tuple[Compiled, dict[str, Resources]]]:
    """Compile groups of kernels in parallel; return each object with its kernels' resources.

    Args:
        groups: as `units` makes them.
        folder: of the object cache; None: the default one.
        jobs: compilers at a time; None: one per core.

    Raises:
        NoHeadersError: CUTLASS's headers are not here.
        ValueError: a kernel cannot be rendered.
    """
    cache = ObjectCache(folder, timeout_s=COMPILE_TIMEOUT_S)
    sources = [with_headers(unit.render(group)) for group in groups]
    return [
        (made, of_symbols(made.report, map(unit.symbol, group)))
        for group, made in zip(groups, cache.compile(sources, jobs), strict=True)
    ]
