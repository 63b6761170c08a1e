"""Real kernels, compiled by nvcc: every family, epilogue, residence and target of the sample."""

from __future__ import annotations

import ctypes
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.needs import need
from tests.tuning.cutlass_sample import sample
from tuning.compile import ObjectCache
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.templates.base import Source
from tuning.templates.cutlass import headers
from tuning.templates.cutlass.candidates import rejected
from tuning.templates.cutlass.library import compile_units, units
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.render import call, unit

GROUP = 12
pytestmark = [pytest.mark.extensive, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def built():
    """Return kernel -> (loaded unit, resources); the compiler's complaint fails the module."""
    need("nvcc")
    groups, start = units(sample(), GROUP), time.monotonic()
    found = {}
    for group, (made, resources) in zip(groups, compile_units(groups), strict=True):
        assert made.path is not None, f"{group[0].arch}: {made.message}"
        library = ctypes.CDLL(str(made.path))
        for kernel in group:
            found[kernel] = (library, resources[unit.symbol(kernel)])
    print(f"{len(found)} kernels in {time.monotonic() - start:.0f} s")
    return found


def test_the_sample_is_what_it_is_for():
    kernels = sample()
    assert len(set(kernels)) == len(kernels) >= 40
    assert {k.residence for k in kernels} == {"none", "register", "shared"}
    assert {k.family for k in kernels} == {"gemm", "batched", "conv2d", "b2b_gemm", "b2b_conv"}
    assert {k.arch for k in kernels} == {"sm_75", "sm_80", "sm_86", "sm_90", "sm_90a"}
    assert {k.element for k in kernels} == {"float16", "bfloat16", "int8"}
    steps = {step for k in kernels for step in Epilogue.parse(k.epilogue).steps}
    assert steps == {"bias", "residual", "relu", "gelu", "hardswish", "softplus", "silu"}


def test_every_kernel_compiles_and_none_spills(built):
    assert set(built) == set(sample())
    spilling = {k.name(): r for k, (_, r) in built.items() if r.spills}
    assert not spilling
    for kernel, (_, found) in built.items():
        assert 24 <= found.registers <= 255
        assert found.registers * kernel.threads <= 65536, kernel.name()
        assert found.registers >= kernel.accumulators or kernel.is_pair


def test_a_kernel_takes_the_threads_and_the_memory_that_are_counted_on(built):
    for kernel, (library, _) in built.items():
        threads = getattr(library, f"{unit.symbol(kernel)}_threads")()
        shared = getattr(library, f"{unit.symbol(kernel)}_shared_bytes")()
        assert threads == kernel.threads, kernel.name()
        assert shared <= kernel.architecture.block_shared_bytes
        if kernel.stages:  # the builder of 3.x takes what it finds room for
            assert shared >= kernel.shared_bytes * 0.99, kernel.name()


def test_the_second_time_nothing_is_compiled(built):
    groups = units(sample(), GROUP)
    again = compile_units(groups)
    assert [made.seconds for made, _ in again] == [0.0] * len(groups)
    resources = {symbol: found for _, told in again for symbol, found in told.items()}
    assert resources == {unit.symbol(kernel): found for kernel, (_, found) in built.items()}


def operators(kernel: Kernel, generator: np.random.Generator):
    """Yield operators with the kernel's epilogues, of extents that it may or may not take."""
    last, first = (Epilogue.parse(text) for text in (kernel.epilogue, kernel.epilogue0))
    for _ in range(40):
        m, n, k, n1 = (
            int(generator.integers(1, 40)) * int(generator.choice([1, 2, 8, 16])) for _ in "mnkn"
        )
        size, window = int(generator.integers(3, 12)), int(generator.integers(1, 4))
        spread = int(generator.integers(1, 3)) if size > 2 * window else 1
        image, moves = (2, size, size), ((1, 2), (1, 0), (spread, 1))
        if kernel.family == "gemm":
            yield Gemm(m, n, k, epilogue=last, constant_b=kernel.layout == "tn")
        elif kernel.family == "batched":
            yield Gemm(m, n, k, 3, False, last)
        elif kernel.family == "conv2d":
            yield Conv2d(*image, k, n, (window, window), *moves, last)
        elif kernel.family == "b2b_gemm":
            yield Pair(Gemm(m, n, k, epilogue=first), Gemm(m, n1, n, epilogue=last))
        else:
            conv = Conv2d(*image, k, n, (window, window), *moves, first)
            made = (2, conv.out_height, conv.out_width, n, n1)
            yield Pair(conv, Conv2d(*made, (1, 1), epilogue=last))


def test_the_library_takes_what_we_say_it_takes(built):
    """CUTLASS's own `can_implement`, asked without a GPU, and our conditions agree."""
    generator = np.random.default_rng(0)
    taken = refused = 0
    for kernel, (library, _) in built.items():
        whole = replace(kernel, split_k=1)
        can = getattr(library, f"{unit.symbol(kernel)}_can_implement")
        for operator in operators(kernel, generator):
            pointers = (ctypes.c_void_p * 8)(*(256 * place for place in range(1, 9)))
            sizes = call.sizes_of(operator, whole)
            status = can(pointers, (ctypes.c_int64 * len(sizes))(*sizes))
            reason = rejected(operator, whole)
            if reason is None:
                assert status == 0, (kernel.name(), operator.text(), status)
                taken += 1
            elif status != 0:
                refused += 1
            else:  # we may be stricter, about the output's alignment alone
                assert "align_c" in reason or "columns" in reason, (
                    kernel.name(),
                    operator.text(),
                    reason,
                )
    assert min(taken, refused) > 100


def test_headers_of_another_version_are_refused(tmp_path):
    """The text checks the version that it was written for; the object's key has no headers."""
    need("nvcc")
    text = unit.render(sample()[:1]).text
    begin = text[: text.index("/// ")]
    lines = [line for line in begin.splitlines() if "version.h" in line or "static_assert" in line]
    (tmp_path / "cutlass").mkdir()
    (tmp_path / "cutlass" / "version.h").write_text(
        "#define CUTLASS_MAJOR 3\n#define CUTLASS_MINOR 9\n"
    )
    flags = ("-std=c++17", "-shared", "-Xcompiler", "-fPIC")
    source = Source("\n".join(lines), unit.COMPILER, flags, folders=(str(tmp_path),), suffix=".cu")
    [made] = ObjectCache(tmp_path / "objects").compile([source])
    assert made.path is None
    assert "written for CUTLASS 4.2" in made.message
    assert headers.version()[:2] == unit.CUTLASS_VERSION
