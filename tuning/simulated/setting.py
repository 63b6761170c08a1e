"""A simulated GPU with its types, and the fastest kernel that the templates have there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.gpu.kernel_constants import STANDARD, Constants, varied
from sim.gpu.kernel_hardware import KernelGpu, kernel_gpu
from tuning.operators import Operator
from tuning.templates.cutlass.candidates import candidates, native
from tuning.templates.cutlass.estimate import estimate
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import HALF, Precision


@dataclass(frozen=True)
class Setting:
    """Where and how.

    Attributes:
        gpu: simulated.
        precision: types of tensors.
        constants: of the model.
    """

    gpu: KernelGpu
    precision: Precision = HALF
    constants: Constants = STANDARD

    @property
    def targets(self) -> tuple[str, ...]:
        """What nvcc compiles for: Hopper runs kernels for `sm_90` and its own."""
        return ("sm_90a", "sm_90") if self.gpu.arch == "sm_90" else (self.gpu.arch,)


@dataclass(frozen=True)
class Chosen:
    """A kernel and its modelled time.

    Attributes:
        kernel: which.
        seconds: of a call.
    """

    kernel: Kernel
    seconds: float


class NoKernelError(ValueError):
    """The templates have no kernel for the operator; the message names it."""


def setting(gpu: str, precision: Precision = HALF, seed: int = 0) -> Setting:
    """Return a setting; seed 0 has the model's constants, others draw them anew.

    Raises:
        ValueError: no GPU has this name.
    """
    constants = STANDARD if seed == 0 else varied(np.random.default_rng(seed))
    return Setting(kernel_gpu(gpu), precision, constants)


def natives(operator: Operator, where: Setting) -> list[Kernel]:
    """Return the tens of candidates that the vendor's guidelines leave, of every target."""
    sms = where.gpu.sms
    return [k for arch in where.targets for k in native(operator, arch, sms, where.precision)]


def whole(operator: Operator, where: Setting) -> list[Kernel]:
    """Return all candidates, of every target."""
    return [k for arch in where.targets for k in candidates(operator, arch, where.precision)]


def timed(operator: Operator, kernels: Sequence[Kernel], where: Setting) -> list[Chosen]:
    """Return the kernels that fit the GPU, fastest first; of equals the earlier."""
    found = []
    for kernel in kernels:
        try:
            time = estimate(operator, kernel, where.gpu, constants=where.constants)
        except ValueError:  # a threadblock takes more than a multiprocessor has
            continue
        found.append(Chosen(kernel, time.seconds))
    return sorted(found, key=lambda chosen: chosen.seconds)


def best(operator: Operator, where: Setting) -> Chosen:
    """Return the fastest of the native candidates.

    Raises:
        NoKernelError: there is none.
    """
    found = timed(operator, natives(operator, where), where)
    if not found:
        raise NoKernelError(f"{operator.text()}: the templates have no kernel for it")
    return found[0]
