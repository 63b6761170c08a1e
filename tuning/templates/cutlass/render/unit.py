"""Several kernels in one translation unit: most of nvcc's time goes into reading the headers.

A unit exports, for each kernel and with `symbol(kernel)` in the place of P,

    int     P_can_implement(void* const* tensors, const int64_t* sizes)    0 if it can
    int64_t P_workspace_bytes(const int64_t* sizes)
    int     P_run(void* const* tensors, const int64_t* sizes, float alpha,
                  void* workspace, cudaStream_t stream)                    0 if it was launched
    int     P_threads(), P_shared_bytes()                                  of a threadblock

`tensors` are device pointers, in the order of `call.tensors_of`; `sizes` are `call.sizes_of`. Codes
other than 0 are the library's `cutlass::Status`. The workspace is zeroed before the first call; its
size is asked where the GPU is, for the library counts multiprocessors.
"""

from __future__ import annotations

import functools
import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tuning.templates.base import Source
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import call, conv2d, gemm, hopper, pair, words

HERE = Path(__file__).resolve().parents[1] / "source"
CUTLASS_VERSION = (4, 2)
FLAGS = (
    *("-std=c++17", "-O3", "-DNDEBUG", "--expt-relaxed-constexpr", "-w"),
    *("-shared", "-Xcompiler", "-fPIC", "-Xptxas", "-v"),
)
COMPILER = "nvcc"


def symbol(kernel: Kernel) -> str:
    """Return the prefix of a kernel's functions; the number of slices is an argument."""
    told = repr(replace(kernel, split_k=1))
    return f"{kernel.family}_{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def body(kernel: Kernel) -> words.Body:
    """Return the part of a unit that is the kernel's own.

    Raises:
        ValueError: the templates have no such kernel; the message names the field.
    """
    if kernel.architecture.api == "3.x":
        return hopper.body(kernel)
    if kernel.family in ("gemm", "batched"):
        return gemm.body(kernel)
    return conv2d.body(kernel) if kernel.family == "conv2d" else pair.body(kernel)


def render(kernels: Sequence[Kernel]) -> Source:
    """Return the source of one unit.

    Raises:
        ValueError: there is no kernel, they are of several architectures, or one is none that the
            templates have.
    """
    targets = {kernel.arch for kernel in kernels}
    if len(targets) != 1:
        raise ValueError(f"kernels: a unit has one architecture, not {len(targets)}")
    whole = [replace(kernel, split_k=1) for kernel in kernels]
    bodies = {symbol(kernel): (kernel, body(kernel)) for kernel in whole}
    includes = dict.fromkeys(name for _, one in bodies.values() for name in one.includes)
    helpers = dict.fromkeys(name for _, one in bodies.values() for name in one.helpers)
    parts = [_begin(tuple(includes))]
    if helpers:
        order = [name for name in HELPERS if name in helpers]
        own = "\n".join((HERE / name).read_text(encoding="utf-8") for name in order)
        parts.append(f"namespace triptych {{\n\n{own}\n}}  // namespace triptych\n")
    parts += [_kernel(name, *made) for name, made in bodies.items()]
    target = targets.pop()
    number = target.removeprefix("sm_")
    flags = (*FLAGS, "-gencode", f"arch=compute_{number},code={target}")
    return Source("\n".join(parts), COMPILER, flags, suffix=".cu", reports=True)


HELPERS = ("softplus.h", "chain.h", "between.h")


@functools.cache
def version() -> str:
    """Return a hash of the templates, of the library's version and of the flags."""
    files = sorted([*HERE.glob("*.h"), *Path(__file__).resolve().parent.glob("*.py")])
    told = repr((FLAGS, CUTLASS_VERSION)) + "".join(file.read_text("utf-8") for file in files)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _begin(includes: tuple[str, ...]) -> str:
    lines = ["#include <cstdint>", "", '#include "cutlass/version.h"']
    lines += [f'#include "{name}"' for name in includes]
    major, minor = CUTLASS_VERSION
    check = f"CUTLASS_MAJOR == {major} && CUTLASS_MINOR == {minor}"
    lines += ["", f'static_assert({check}, "written for CUTLASS {major}.{minor}");', ""]
    return "\n".join(lines)


def _kernel(name: str, kernel: Kernel, own: words.Body) -> str:
    told = f"/// {kernel.name()}\n/// epilogue: {kernel.epilogue}"
    if kernel.is_pair:
        told += f"; between: {kernel.epilogue0}"
    made = textwrap.indent(own.arguments, "  ")
    return f"""{told}
namespace {name} {{

{own.types}

int const kThreads = {own.threads};
int const kSharedBytes = {own.shared_bytes};

{own.operator}::Arguments arguments(void *const *tensors, int64_t const *sizes, float alpha) {{
{made}
}}

}}  // namespace {name}

{_exports(name, kernel, own)}"""


def _exports(name: str, kernel: Kernel, own: words.Body) -> str:
    most = len(call.tensors_of(kernel))
    device = f"{name}::{own.operator}"
    return f"""extern "C" {{

int {name}_can_implement(void *const *tensors, int64_t const *sizes) {{
  return int({device}::can_implement({name}::arguments(tensors, sizes, 1.0f)));
}}

int64_t {name}_workspace_bytes(int64_t const *sizes) {{
  void *const tensors[{most}] = {{}};
  return int64_t({device}::get_workspace_size({name}::arguments(tensors, sizes, 1.0f)));
}}

int {name}_run(
    void *const *tensors, int64_t const *sizes, float alpha, void *workspace,
    cudaStream_t stream) {{
  {device} kernel;
  cutlass::Status status =
      kernel.initialize({name}::arguments(tensors, sizes, alpha), workspace, stream);
  return int(status == cutlass::Status::kSuccess ? kernel.run(stream) : status);
}}

int {name}_threads() {{ return {name}::kThreads; }}

int {name}_shared_bytes() {{ return {name}::kSharedBytes; }}

}}  // extern "C"
"""
