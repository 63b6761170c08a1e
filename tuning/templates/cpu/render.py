"""From operator and candidate to C++: the headers in `source/`, then one instantiation.

A *unit* exports four functions with a common prefix:

    int64_t P_packed_floats(int weight, const int64_t* dims)
    void    P_pack(int weight, const float* from, float* to, const int64_t* dims)
    int64_t P_scratch_bytes(const int64_t* dims, const int64_t* blocks)
    void    P_run(void* const* args, const int64_t* dims, const int64_t* blocks, void* scratch)

`args` are the operands in the operator's order, packed weights in the place of constant ones;
`dims` are `call_dims(operator)`, `blocks` are `call_blocks(candidate)`. Shapes and blocks are
arguments, so one compiled object serves every shape.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.space import Candidate
from tuning.templates.base import Source
from tuning.templates.cpu.params import fault

HERE = Path(__file__).resolve().parent / "source"
HEADERS = (
    *("vector", "activation", "tile", "block", "product", "pack"),
    *("gemm", "image", "conv2d", "pair"),
)
INCLUDES = (
    *("algorithm", "cstdint", "cstring", "type_traits", "vector"),
    "omp.h",
)
FLAGS = (
    *("-std=c++17", "-O3", "-fopenmp", "-fPIC", "-shared", "-w"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
ISA_FLAGS = {
    "avx512": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    "avx2": ("-march=x86-64-v3",),
    "generic": (),
}
OUT_TYPES = {"float32": "float", "float16": "_Float16", "bfloat16": "bf16"}
GATHERS = {"direct": "DIRECT", "rows": "ROWS", "strips": "STRIPS", "padded": "PADDED"}
BLOCKS = ("block_rows", "block_columns", "block_depth", "threads", "stream")
"""Parameters that are arguments; a candidate may lack `stream`, which then is off."""


@functools.cache
def prelude() -> str:
    """Return the headers as one text; a source holds it once, whatever the number of units."""
    lines = [f"#include <{name}>" for name in INCLUDES]
    lines += ["#if defined(__x86_64__)", "#include <immintrin.h>", "#endif", "namespace {"]
    lines += [(HERE / f"{name}.hpp").read_text(encoding="utf-8") for name in HEADERS]
    return "\n".join([*lines, "}  // namespace", ""])


@functools.cache
def version() -> str:
    """Return a hash of the templates and of the flags."""
    told = repr((FLAGS, sorted(ISA_FLAGS.items()))) + prelude() + Path(__file__).read_text("utf-8")
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def render(operator: Operator, candidate: Candidate, prefix: str = "triptych") -> Source:
    """Return the source of one unit.

    Raises:
        ValueError: a parameter is none that the templates have.
    """
    begin = prelude()
    text = begin + unit(operator, candidate, prefix)
    isa = str(candidate.params["isa"])
    return Source(text, "g++", (*FLAGS, *ISA_FLAGS[isa]), len(begin))


def unit(operator: Operator, candidate: Candidate, prefix: str) -> str:
    """Return the four functions of one operator and candidate, to follow the prelude.

    Raises:
        ValueError: a parameter is none that the templates have.
    """
    params = candidate.params
    if reason := fault(params):
        raise ValueError(f"candidate: {reason}")
    aligned = "true" if params["aligned"] else "false"
    tile = (
        f"Tile<{params['tile_rows']}, {params['tile_vectors']}, {params['unroll']}, "
        f"{GATHERS[str(params['gather'])]}, {aligned}>"
    )
    first = operator.first if isinstance(operator, Pair) else operator
    lines = [f"namespace {prefix}_unit {{", f"using T = {tile};"]
    lines.append(_epilogue("E", first.epilogue))
    name = {Conv2d: "Conv2dUnit", Pair: "PairUnit"}.get(type(operator), "SharedGemm")
    arguments = ["T", "E", OUT_TYPES[operator.epilogue.out_dtype]]
    if isinstance(operator, Pair):
        lines.append(_epilogue("E1", operator.second.epilogue))
        arguments.insert(2, "E1")
        arguments.append("true" if isinstance(operator.first, Conv2d) else "false")
    if isinstance(operator, Gemm):
        name = "SharedGemm" if operator.constant_b else "GivenGemm"
    lines.append(f"using Unit = {name}<{', '.join(arguments)}>;")
    return "\n".join([*lines, "}", _exports(prefix), ""])


def _epilogue(name: str, epilogue: Epilogue) -> str:
    """Return a struct with the chain of steps."""
    calls = {"bias": "x = x + bias;", "residual": "x = x + residual;"}
    body = " ".join(calls.get(step, f"x = {step}(x);") for step in epilogue.steps)
    bias, residual = (str(f).lower() for f in (epilogue.has_bias, epilogue.has_residual))
    return (
        f"struct {name} {{ static constexpr bool BIAS = {bias}, RESIDUAL = {residual};\n"
        f"    INLINE vf apply(vf x, vf bias, vf residual) {{ {body} return x; }} }};"
    )


def _exports(prefix: str) -> str:
    return f"""extern "C" {{
__attribute__((visibility("default")))
int64_t {prefix}_packed_floats(int weight, const int64_t* dims) {{
    return {prefix}_unit::Unit::packed_floats(weight, dims);
}}
__attribute__((visibility("default")))
void {prefix}_pack(int weight, const float* from, float* to, const int64_t* dims) {{
    {prefix}_unit::Unit::pack(weight, from, to, dims);
}}
__attribute__((visibility("default")))
int64_t {prefix}_scratch_bytes(const int64_t* dims, const int64_t* blocks) {{
    return {prefix}_unit::Unit::scratch_bytes(dims, blocks);
}}
__attribute__((visibility("default")))
void {prefix}_run(void* const* args, const int64_t* dims, const int64_t* blocks, void* scratch) {{
    {prefix}_unit::Unit::run(args, dims, blocks, (char*)scratch);
}}
}}"""


def call_dims(operator: Operator) -> tuple[int, ...]:
    """Return `dims`: batch, m, n, k of a GEMM; of a convolution see the code; of a pair both."""
    if isinstance(operator, Gemm):
        return (operator.batch, operator.m, operator.n, operator.k)
    if isinstance(operator, Conv2d):
        o = operator
        image = (o.batch, o.height, o.width, o.in_channels, o.out_channels)
        return (*image, *o.kernel, *o.stride, *o.padding, *o.dilation)
    if isinstance(operator, Pair):
        return (*call_dims(operator.first), *call_dims(operator.second))
    raise TypeError(f"no template for {type(operator).__name__}")


def call_blocks(candidate: Candidate) -> tuple[int, ...]:
    """Return `blocks`: rows, columns and depth of a cache block, threads, whether to stream."""
    params = {"stream": False} | candidate.params
    return tuple(int(params[name]) for name in BLOCKS)
