"""Generated source: what it says, what it refuses, and what becomes of a compiler that fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.needs import need
from tests.tuning.graph_support import GuessingTuner, flat_net, image, library, residual_net
from tuning.compile import Compiled, ObjectCache
from tuning.decide.copying import copy_text
from tuning.graph import BuiltModel, GraphError, import_torch, optimise
from tuning.graph.codegen import entry_source, unit_sources
from tuning.graph.copies import Copy
from tuning.graph.functions import module_of
from tuning.graph.link import Linker
from tuning.operators import Conv2d, Epilogue
from tuning.operators.reference import random_operands, reference, tolerance
from tuning.templates.base import Source
from tuning.templates.cpu.render import call_dims

pytestmark = pytest.mark.usefixtures("_capable")
BIAS = Epilogue(("bias", "relu"))
SMALL, LARGE = Conv2d(1, 6, 5, 3, 8, epilogue=BIAS), Conv2d(2, 9, 9, 3, 8, epilogue=BIAS)


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


def _kernels(*operators: Conv2d) -> Any:
    tuner = GuessingTuner(library())
    return [(f"k{i}", each, tuner(each).best.candidate) for i, each in enumerate(operators)]


def _build(network: Any, example: Any, objects: ObjectCache | None = None) -> BuiltModel:
    templates = library()
    module = import_torch(network, example)
    return optimise(module, GuessingTuner(templates), templates, objects=objects)


def test_shapes_are_constants_of_entries_and_share_a_unit() -> None:
    kernels = _kernels(SMALL, LARGE)
    source = entry_source(kernels)
    for symbol, operator, _ in kernels:
        assert f"int __tvm_ffi_{symbol}(" in source
        assert f"dims[] = {{{', '.join(map(str, call_dims(operator)))}}}" in source
    assert len(unit_sources(kernels)) == 1


def test_equal_kernels_give_equal_source() -> None:
    assert entry_source(_kernels(SMALL)) == entry_source(_kernels(SMALL))
    assert unit_sources(_kernels(SMALL)) == unit_sources(_kernels(LARGE))


def test_weights_are_arguments_of_main_and_packed_before() -> None:
    built = _build(flat_net(), image(1, 3, 8, 8))
    assert len(built.contents.weights) == len(built.layers) == 3
    for layer, weight in zip(built.layers, built.contents.weights, strict=True):
        _, unpacked, *_ = layer.operator.operands()
        assert weight.size >= unpacked.size
        assert weight.ndim == 1


# paper: bolt codegen
def test_an_entry_computes_its_operator_and_refuses_a_wrong_number_of_tensors(
    tmp_path: Path,
) -> None:
    import tvm

    built = _build(residual_net(), image(1, 3, 16, 16))
    path = tmp_path / "model.so"
    path.write_bytes(built.contents.library)
    entry = tvm.runtime.load_module(str(path)).get_function("bolt_0", query_imports=True)
    operator = built.layers[0].operator
    arrays = random_operands(operator)
    given = [tvm.runtime.tensor(arrays[name]) for name in ("x", "bias")]
    with pytest.raises(RuntimeError, match="bolt_0: takes 4 tensors"):
        entry(*given)
    packed = tvm.runtime.tensor(built.contents.weights[0])
    output = tvm.runtime.tensor(np.zeros(operator.operands()[-1].shape, np.float32))
    entry(given[0], packed, given[1], output)
    arrays["w"] = _weights_of(residual_net())
    close = tolerance(operator, arrays)
    np.testing.assert_allclose(output.numpy(), reference(operator, arrays), atol=close, rtol=close)


def _weights_of(network: Any) -> np.ndarray[Any, Any]:
    """Return the first convolution's weights, batch norm folded, in OHWI."""
    norm = network.norm
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().numpy()
    weight = network.stem.weight.detach().numpy() * scale[:, None, None, None]
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))


class _Failing(ObjectCache):
    """A cache in which nothing compiles."""

    def compile(
        self, sources: Sequence[Source], jobs: int | None = None, deadline: float = math.inf
    ) -> list[Compiled]:
        return [Compiled(None, 0.0, "no space left on device") for _ in sources]


def test_a_compiler_that_fails_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"does not compile: no space left on device"):
        _build(flat_net(), image(1, 3, 8, 8), _Failing(tmp_path))


def test_codegen_outside_a_build_is_refused() -> None:
    from tvm import relax

    from tuning.graph.codegen import register

    register()
    module = module_of(SMALL, "kernel")
    builder = relax.BlockBuilder(module)
    params = [relax.Var(o.name, relax.TensorType(o.shape)) for o in SMALL.operands()[:-1]]
    with builder.function("main", params):
        with builder.dataflow():
            called = builder.emit(relax.Call(module.get_global_var("kernel"), params))
            made = builder.emit_output(called)
        builder.emit_func_output(made)
    with pytest.raises(RuntimeError, match=r"build models with tuning\.graph\.optimise"):
        relax.transform.RunCodegen()(builder.get())


def test_a_padded_operator_runs_the_copy_that_the_race_times() -> None:
    from tuning.decide.race import clock_source

    assert copy_text() in clock_source().text
    copies = {"wider": Copy((2, 5, 3), (2, 5, 4)), "narrower": Copy((6, 8), (6, 7))}
    source = entry_source([], copies, threads=2)
    assert source.count("triptych_copy(tensors, dims, blocks, nullptr)") == 2
    for numbers in ("10, 3, 4", "6, 8, 7"):
        assert f"dims[] = {{{numbers}}};\n    static const int64_t blocks[] = {{2}}" in source


def test_a_copy_that_changes_more_than_the_width_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the innermost width"):
        entry_source([], {"copy": Copy((2, 3), (3, 4))})


def test_text_of_a_candidate_is_not_part_of_the_source() -> None:
    ((symbol, operator, candidate),) = _kernels(SMALL)
    source = entry_source([(symbol, operator, candidate)])
    assert candidate.text() not in source


class _Remembering(ObjectCache):
    """Keeps what it was asked to compile, and compiles nothing."""

    def compile(
        self, sources: Sequence[Source], jobs: int | None = None, deadline: float = math.inf
    ) -> list[Compiled]:
        self.sources = list(sources)
        return [Compiled(None, 0.0, "not wanted") for _ in sources]


def test_another_version_of_tvms_headers_is_another_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, digests = tmp_path / "entry.c", set()
    source.write_text(entry_source(_kernels(SMALL)))
    for version in ("0.1.14.post1", "0.1.15"):
        monkeypatch.setattr("tvm_ffi.__version__", version)
        cache = _Remembering(tmp_path / "objects")
        with pytest.raises(GraphError, match="not wanted"):
            Linker("generic", cache)(str(tmp_path / "model.so"), [str(source)])
        digests.add(cache.sources[0].digest)
    assert len(digests) == 2
