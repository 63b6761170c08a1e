"""Entry points in TVM's calling convention around CUTLASS kernels, and what is linked with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.setup.programs import ProgramError, run_program
from tuning.compile import ObjectCache
from tuning.graph.gpu.half import Call
from tuning.graph.link import tvm_flags
from tuning.graph.walk import GraphError
from tuning.templates.base import Source
from tuning.templates.cutlass.library import UNIT_KERNELS, units, with_headers
from tuning.templates.cutlass.render import call, unit

_LINK_TIMEOUT_S = 300.0
_HEAD = """#include <cstdint>
#include <cstdio>
#include <cuda_runtime.h>
#include <tvm/ffi/c_api.h>
#include <tvm/ffi/extra/c_env_api.h>
namespace {
int fail(const char* symbol, const char* what, int code) {
    char message[256];
    snprintf(message, sizeof(message), "%s: %s (%d)", symbol, what, code);
    TVMFFIErrorSetRaisedFromCStr("RuntimeError", message);
    return -1;
}
const DLTensor* tensor_of(const TVMFFIAny& any) {
    return any.type_index == kTVMFFITensor ? TVMFFITensorGetDLTensorPtr(any.v_obj)
                                           : (const DLTensor*)any.v_ptr;
}
// Semaphores of split sums: zeroed once, left at zero by every call.
void* workspace_of(void** kept, int64_t bytes) {
    if (*kept == nullptr && bytes > 0) {
        if (cudaMalloc(kept, bytes) != cudaSuccess) return nullptr;
        cudaMemset(*kept, 0, bytes);
    }
    return *kept;
}
}  // namespace
"""


def entry_source(calls: Mapping[str, Call]) -> str:
    """Return the source of one entry point per call; sizes are constants in it."""
    lines = [_HEAD]
    for prefix in dict.fromkeys(unit.symbol(one.kernel) for one in calls.values()):
        lines.append(
            f'extern "C" int64_t {prefix}_workspace_bytes(int64_t const *);\n'
            f'extern "C" int {prefix}_run(\n'
            "    void *const *, int64_t const *, float, void *, cudaStream_t);"
        )
    return "\n".join([*lines, *map(_entry, calls.values()), ""])


def _entry(one: Call) -> str:
    prefix, symbol = unit.symbol(one.kernel), one.symbol
    count = len(call.tensors_of(one.kernel))
    sizes = ", ".join(map(str, call.sizes_of(one.operator, one.kernel)))
    return f"""
// {one.operator.text()}
// {one.kernel.name()}
extern "C" __attribute__((visibility("default")))
int __tvm_ffi_{symbol}(void*, const TVMFFIAny* args, int32_t count, TVMFFIAny* result) {{
    static const int64_t sizes[] = {{{sizes}}};
    static void* workspace = nullptr;
    if (count != {count}) return fail("{symbol}", "takes {count} tensors", count);
    void* tensors[{count}];
    for (int i = 0; i < {count}; ++i) {{
        const DLTensor* tensor = tensor_of(args[i]);
        tensors[i] = (char*)tensor->data + tensor->byte_offset;
    }}
    int device = tensor_of(args[0])->device.device_id;
    auto stream = (cudaStream_t)TVMFFIEnvGetStream(kDLCUDA, device);
    int64_t bytes = {prefix}_workspace_bytes(sizes);
    void* room = workspace_of(&workspace, bytes);
    if (bytes > 0 && room == nullptr) return fail("{symbol}", "no memory for its workspace", 0);
    int status = {prefix}_run(tensors, sizes, 1.0f, room, stream);
    if (status != 0) return fail("{symbol}", "cutlass::Status", status);
    result->type_index = kTVMFFINone;
    result->v_int64 = 0;
    return 0;
}}"""


def sources(calls: Mapping[str, Call]) -> list[Source]:
    """Return the entry points and the units of their kernels, to be compiled and not yet linked.

    Raises:
        NoHeadersError: CUTLASS's headers are not here.
    """
    kernels = {unit.symbol(one.kernel): one.kernel for one in calls.values()}
    groups = units(list(kernels.values()), UNIT_KERNELS)
    found = [_object(with_headers(unit.render(group))) for group in groups]
    flags = ("-std=c++17", "-O2", "-c", "-Xcompiler", "-fPIC", *tvm_flags())
    return [Source(entry_source(calls), unit.COMPILER, flags, suffix=".cu"), *found]


def _object(source: Source) -> Source:
    flags = tuple("-c" if flag == "-shared" else flag for flag in source.flags)
    return Source(
        source.text, source.compiler, flags, 0, source.folders, source.suffix, source.reports
    )


class Linker:
    """What `export_library` calls with the files that it wrote: nvcc links our objects to them."""

    object_format = "o"

    def __init__(self, calls: Mapping[str, Call], objects: ObjectCache) -> None:
        self.calls, self.objects = calls, objects

    def __call__(self, output: str, files: Sequence[str], **ignored: Any) -> None:
        """Compile what is ours, and link all.

        Raises:
            GraphError: a source does not compile, or the parts do not link.
        """
        ready = [Path(file) for file in files]
        for made in self.objects.compile(sources(self.calls)):
            if made.path is None:
                raise GraphError(f"generated source does not compile: {made.message[:500]}")
            ready.append(made.path)
        with_suffix = []
        for place, path in enumerate(ready):  # nvcc takes a file for what its name says
            named = Path(output).with_suffix(f".{place}.o")
            named.symlink_to(path.resolve())
            with_suffix.append(str(named))
        command = [unit.COMPILER, "-shared", "-o", output, *with_suffix]
        try:
            run_program(command, timeout_s=_LINK_TIMEOUT_S)
        except ProgramError as error:
            raise GraphError(f"the model does not link: {error}") from error
