"""Graphs for a GPU: the half-precision graph computed on the CPU, and the executable up to loading.

Kernels are stood in for by functions that compute the same from the very tensors that a kernel
would be handed, so order, layouts, types and shapes of what the graph passes on are all checked.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.needs import need
from tests.tuning.graph_support import expected, flat_net, image, residual_net, settle
from tuning.graph import GraphError, import_torch
from tuning.graph.gpu import optimise_gpu
from tuning.graph.gpu.choose import simulated_options, simulated_tuner, widened
from tuning.graph.gpu.codegen import entry_source
from tuning.graph.gpu.half import Call, in_half, kernels_of
from tuning.graph.layout import to_nhwc
from tuning.graph.options import Choice, GraphOptions
from tuning.graph.partition import partition
from tuning.graph.select import Selection, select, tuned_once
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.operators.reference import reference
from tuning.templates.cutlass.library import CutlassTemplates
from tuning.templates.cutlass.params import Kernel
from tuning.templates.cutlass.problem import Precision
from tuning.templates.cutlass.render import call, unit

pytestmark = pytest.mark.usefixtures("_capable")
ALWAYS = Choice(None, 2.0, 1.0, True, "asked for")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


def chain_net() -> Any:
    """Return convolutions that may run back to back, with wide and with odd channels."""
    from torch import nn

    layers = [nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, 1), nn.SiLU()]
    layers += [nn.Conv2d(24, 13, 3, stride=2), nn.Hardswish(), nn.Flatten(), nn.Linear(13 * 9, 6)]
    return settle(nn.Sequential(*layers))


def always(library: CutlassTemplates) -> GraphOptions:
    """Return options that fuse and pad whatever can be."""

    def pad(operator: Gemm | Conv2d, tuner: Any) -> Choice:
        wider = widened(operator)
        return replace(ALWAYS, instead=wider, applied=wider is not None)

    def pair(asked: Pair, tuner: Any) -> Choice:
        fits = bool(library.native(asked))
        return replace(ALWAYS, instead=asked if fits else None, applied=fits)

    return GraphOptions(True, pair, pad)


def chosen_of(
    network: Any, example: Any, options: GraphOptions
) -> tuple[Selection, dict[str, Call]]:
    library = CutlassTemplates("h200")
    ask = tuned_once(simulated_tuner(library))
    chosen = select(partition(to_nhwc(import_torch(network, example))), ask, options)
    kernels = {x.operator: Kernel.from_candidate(x.best.candidate) for x in chosen.layers}
    return chosen, kernels_of(chosen.module, kernels)


def stand_in(one: Call) -> Any:
    """Return a function of TVM tensors that computes what the kernel would."""
    tensors = call.arguments_of(one.operator, one.kernel)

    def compute(*given: Any) -> None:
        arrays = {}
        for tensor, array in zip(tensors, given, strict=True):
            assert tuple(array.shape) == tensor.shape, (tensor, array.shape)
            assert str(array.dtype) == tensor.dtype
            if tensor.role == "zeros":
                assert not array.numpy().any()
            elif tensor.role != "output":
                arrays[tensor.name] = array.numpy().astype(np.float32)
        for name in ("b", "b1"):
            if name in arrays and one.kernel.layout == "tn":
                arrays[name] = np.ascontiguousarray(arrays[name].swapaxes(-1, -2))
        found = reference(one.operator, arrays)
        given[-1].copyfrom(found.astype(tensors[-1].dtype))

    return compute


@pytest.mark.parametrize("make", [residual_net, flat_net, chain_net])
@pytest.mark.parametrize("passes", ["all", "none", "simulated"])
def test_the_graph_in_half_is_the_model(make, passes):
    import tvm
    import tvm_ffi
    from tvm import relax

    library = CutlassTemplates("h200")
    options = {
        "all": always(library),
        "none": GraphOptions(fuse_epilogues=False),
        "simulated": simulated_options(library),
    }[passes]
    size = 8 if make is not residual_net else 16
    network, example = make(), image(2, 8 if make is chain_net else 3, size, size)
    chosen, calls = chosen_of(network, example, options)
    for symbol, one in calls.items():
        tvm_ffi.register_global_func(symbol, stand_in(one), override=True)
    half = in_half(chosen.module, calls)
    bound = [b.var for b in half["main"].body.blocks[0].bindings]
    assert {str(var.ty.dtype) for var in bound[:-2]} == {"float16"}  # the last: back to float32
    machine = relax.VirtualMachine(tvm.compile(half, "llvm"), tvm.cpu())
    found = machine["main"](tvm.runtime.tensor(example.numpy())).numpy()
    wanted = expected(network, example)
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found, wanted, atol=2.0**-7 * scale)
    kinds = {type(layer.operator) for layer in chosen.layers}
    assert (Pair in kinds) is (passes != "none" and make is chain_net)


def test_entries_hold_sizes_and_count_tensors():
    chosen, calls = chosen_of(chain_net(), image(2, 8, 8, 8), always(CutlassTemplates("h200")))
    text = entry_source(calls)
    for symbol, one in calls.items():
        sizes = ", ".join(map(str, call.sizes_of(one.operator, one.kernel)))
        assert f"int __tvm_ffi_{symbol}(" in text
        assert f"sizes[] = {{{sizes}}}" in text
        assert f'"takes {len(call.tensors_of(one.kernel))} tensors"' in text
    assert {layer.operator for layer in chosen.layers} == {c.operator for c in calls.values()}


def test_channels_are_widened_to_eight_but_for_a_residual():
    plain = Conv2d(1, 8, 8, 3, 13, epilogue=Epilogue(("bias",)))
    assert widened(plain) == replace(plain, in_channels=8, out_channels=16)
    kept = replace(plain, epilogue=Epilogue(("residual",)))
    assert widened(kept) == replace(kept, in_channels=8)
    assert widened(Gemm(5, 8, 16)) is None
    assert widened(Gemm(5, 7, 9, 2, False)) is None


def test_other_types_and_operators_without_kernels_are_refused(tmp_path):
    module = import_torch(flat_net(), image(2, 3, 8, 8))
    wide = CutlassTemplates("h200", precision=Precision("bfloat16", "float32", "bfloat16"))
    with pytest.raises(ValueError, match="float16"):
        optimise_gpu(module, wide, tmp_path / "model.so")
    chosen, calls = chosen_of(flat_net(), image(2, 3, 8, 8), GraphOptions())
    calls.popitem()
    with pytest.raises(GraphError, match="no kernel"):
        in_half(chosen.module, calls)


@pytest.mark.extensive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("arch", ["sm_90"])
def test_an_executable_holds_the_kernels_and_loads(arch, tmp_path):
    """With a GPU it runs, and its numbers are the model's; without one it is loaded."""
    need("nvcc")
    import tvm
    from tvm import relax

    network, example = chain_net(), image(2, 8, 8, 8)
    library = CutlassTemplates("h200", arch)
    options = always(library)
    path = tmp_path / "model.so"
    built = optimise_gpu(import_torch(network, example), library, path, options=options)
    assert any(isinstance(layer.operator, Pair) for layer in built.layers)
    assert not built.left
    library_ = ctypes.CDLL(str(path))
    for symbol, one in built.calls.items():
        assert getattr(library_, f"__tvm_ffi_{symbol}")
        can = getattr(library_, f"{unit.symbol(one.kernel)}_can_implement")
        sizes = call.sizes_of(one.operator, one.kernel)
        pointers = (ctypes.c_void_p * 8)(*(256 * place for place in range(1, 9)))
        assert can(pointers, (ctypes.c_int64 * len(sizes))(*sizes)) == 0
    if not tvm.cuda().exist:
        with pytest.raises(RuntimeError, match="cuda"):  # TVM's loader of kernels wants the driver
            tvm.runtime.load_module(str(path))
        return
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cuda())
    found = machine["main"](tvm.runtime.tensor(example.numpy(), tvm.cuda())).numpy()
    np.testing.assert_allclose(found, expected(network, example), atol=2.0**-6)
