"""`relax.ext.bolt`: kernels as C++ source in TVM's calling convention (Bolt section 3.2.3).

Relax calls an external kernel by a symbol `__tvm_ffi_<name>` that takes packed arguments. The
source of the templates and these entry points is handed to TVM as C source modules, one per
distinct kernel, so that kernels are compiled side by side and once per content.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from tuning.decide.copying import copy_dims
from tuning.graph.copies import Copy, copy_of
from tuning.graph.functions import operator_of, symbol_of
from tuning.graph.options import Tuner
from tuning.operators import Operator
from tuning.space import Candidate
from tuning.templates.cpu.render import call_blocks, call_dims, prelude, unit

_TUNER: ContextVar[tuple[Tuner, int] | None] = ContextVar("tuner", default=None)

COPY = "triptych_copy"
"""The function that entries of copies call; `link` adds its object."""

_ENTRY_HEAD = """
#include <cstdint>
#include <cstdlib>
#include <tvm/ffi/c_api.h>
namespace {
// Scratch memory of the calling thread: grown, never shrunk, given back when the thread ends.
struct Scratch {
    void* memory = nullptr;
    int64_t size = 0;
    ~Scratch() { free(memory); }
    void* reserve(int64_t bytes) {
        if (bytes > size) {
            free(memory);
            size = (bytes + 4095) / 4096 * 4096;
            memory = aligned_alloc(4096, size);
            if (!memory) size = 0;
        }
        return memory;
    }
};
thread_local Scratch scratch;
int fail(const char* message) {
    TVMFFIErrorSetRaisedFromCStr("RuntimeError", message);
    return -1;
}
inline void* data_of(const TVMFFIAny& any) {
    const DLTensor* t = any.type_index == kTVMFFITensor
        ? TVMFFITensorGetDLTensorPtr(any.v_obj) : (const DLTensor*)any.v_ptr;
    return (char*)t->data + t->byte_offset;
}
}  // namespace
"""


def register() -> None:
    """Make `relax.ext.bolt` known to TVM; done again without harm."""
    import tvm_ffi

    tvm_ffi.register_global_func("relax.ext.bolt", _generate, override=True)


@contextlib.contextmanager
def generating(tuner: Tuner, threads: int) -> Iterator[None]:
    """Let `relax.ext.bolt` ask `tuner` for candidates within this block; copies use `threads`."""
    register()
    token = _TUNER.set((tuner, threads))
    try:
        yield
    finally:
        _TUNER.reset(token)


def _generate(functions: Any, options: Any, constant_names: Any) -> list[Any]:
    """Return C source modules for functions that `module_of` made."""
    import tvm_ffi

    context = _TUNER.get()
    if context is None:
        raise RuntimeError("relax.ext.bolt: no tuner; build models with tuning.graph.optimise")
    tuner, threads = context
    kernels, copies = [], {}
    for function in functions:
        if (copy := copy_of(function)) is not None:
            copies[symbol_of(function)] = copy
        else:
            operator = operator_of(function)
            kernels.append((symbol_of(function), operator, tuner(operator).best.candidate))
    symbols = [*(symbol for symbol, _, _ in kernels), *copies]
    create = tvm_ffi.get_global_func("runtime.CSourceModuleCreate")
    modules = [create(entry_source(kernels, copies, threads), "cc", symbols, [])]
    # TVM wants a name per module; that of a unit is never looked up.
    units = unit_sources(kernels).items()
    return [*modules, *(create(text, "cc", [prefix], []) for prefix, text in units)]


Kernels = list[tuple[str, Operator, Candidate]]
"""(symbol, operator, candidate)."""


def unit_prefix(operator: Operator, candidate: Candidate) -> str:
    """Return the prefix of a unit's functions: equal units have equal prefixes."""
    digest = hashlib.sha256(unit(operator, candidate, "p").encode()).hexdigest()
    return f"bolt_unit_{digest[:16]}"


# paper: bolt codegen
def unit_sources(kernels: Kernels) -> dict[str, str]:
    """Return prefix -> source of every distinct unit."""
    found = {}
    for _, operator, candidate in kernels:
        prefix = unit_prefix(operator, candidate)
        found.setdefault(prefix, prelude() + unit(operator, candidate, prefix))
    return found


# paper: bolt codegen
def entry_source(
    kernels: Kernels, copies: Mapping[str, Copy] = MappingProxyType({}), threads: int = 1
) -> str:
    """Return the source of the entry points, which hold shapes and blocks as constants.

    Args:
        kernels: one entry each.
        copies: symbol -> copy, as `tuning.decide` races it.
        threads: that copies use.
    """
    lines = [_ENTRY_HEAD]
    for prefix in dict.fromkeys(unit_prefix(o, c) for _, o, c in kernels):
        lines.append(
            f'extern "C" int64_t {prefix}_scratch_bytes(const int64_t*, const int64_t*);\n'
            f'extern "C" void {prefix}_run(void* const*, const int64_t*, const int64_t*, void*);'
        )
    if copies:
        lines.append(
            f'extern "C" void {COPY}(void* const*, const int64_t*, const int64_t*, void*);'
        )
    lines += [_kernel_entry(*kernel) for kernel in kernels]
    lines += [_copy_entry(symbol, copy, threads) for symbol, copy in copies.items()]
    return "\n".join([*lines, ""])


def _kernel_entry(symbol: str, operator: Operator, candidate: Candidate) -> str:
    prefix = unit_prefix(operator, candidate)
    body = f"""    void* memory = scratch.reserve({prefix}_scratch_bytes(dims, blocks) + 64);
    if (!memory) return fail("{symbol}: out of memory for scratch");
    {prefix}_run(tensors, dims, blocks, memory);"""
    dims, blocks = call_dims(operator), call_blocks(candidate)
    return _entry(symbol, operator.text(), len(operator.operands()), (dims, blocks), body)


def _copy_entry(symbol: str, copy: Copy, threads: int) -> str:
    dims, text = copy_dims(copy.given, copy.made), f"copy {copy.given} to {copy.made}"
    return _entry(
        symbol, text, 2, (dims, [threads]), f"    {COPY}(tensors, dims, blocks, nullptr);"
    )


def _entry(symbol: str, text: str, count: int, numbers: Any, body: str) -> str:
    dims, blocks = (", ".join(map(str, map(int, each))) for each in numbers)
    return f"""
// {text}
extern "C" __attribute__((visibility("default")))
int __tvm_ffi_{symbol}(void*, const TVMFFIAny* args, int32_t count, TVMFFIAny* result) {{
    static const int64_t dims[] = {{{dims}}};
    static const int64_t blocks[] = {{{blocks}}};
    if (count != {count}) return fail("{symbol}: takes {count} tensors");
    void* tensors[{count}];
    for (int i = 0; i < {count}; ++i) tensors[i] = data_of(args[i]);
{body}
    result->type_index = kTVMFFINone;
    result->v_int64 = 0;
    return 0;
}}"""
