"""Every kernel renders, in one form per chain of steps; reports of the compiler are read."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.tuning.cutlass_sample import (
    AMPERE,
    CHAINS,
    HOPPER,
    INT8,
    REGISTER,
    kernel,
    pairs,
    sample,
)
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.templates.cutlass.architecture import ARCHITECTURES
from tuning.templates.cutlass.candidates import candidates, instances
from tuning.templates.cutlass.library import CutlassTemplates, units
from tuning.templates.cutlass.problem import Precision
from tuning.templates.cutlass.problems import SETS, problems
from tuning.templates.cutlass.render import call, unit
from tuning.templates.cutlass.render.epilogue import form_of, splits
from tuning.templates.cutlass.resources import Resources, entries, of_symbols

RELU = Epilogue(("bias", "relu"))
OPERATORS = (
    Gemm(1280, 768, 768, epilogue=Epilogue(("bias", "residual", "gelu"))),
    Gemm(64, 128, 256, batch=3, constant_b=False, epilogue=Epilogue(("softplus",))),
    Conv2d(2, 14, 14, 64, 128, padding=(1, 1), epilogue=RELU),
    Pair(Gemm(256, 64, 576, epilogue=RELU), Gemm(256, 128, 64, epilogue=RELU)),
)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("element", ["float16", "bfloat16", "int8"])
def test_every_candidate_of_every_architecture_renders(arch, element):
    sums = "int32" if element == "int8" else "float32"
    for operator in OPERATORS:
        precision = Precision(element, sums, element)
        for found in candidates(operator, arch, precision):
            if found.is_pair and element == "int8":
                continue  # refused below
            source = unit.render([found])
            own = unit.symbol(found)
            assert f"int {own}_run(" in source.text
            assert source.text.count("{") == source.text.count("}")
            assert f"code={arch}" in source.flags[-1]


def test_a_symbol_is_a_kernel():
    found = {unit.symbol(k): k for arch in ARCHITECTURES for k in instances(arch)}
    assert len(found) == sum(len(instances(arch)) for arch in ARCHITECTURES)
    assert len({unit.symbol(k) for k in sample()}) == len(sample())
    assert len({unit.render([k]).digest for k in sample()}) == len(sample())


def test_slices_of_the_depth_are_an_argument():
    whole = kernel(AMPERE)
    assert unit.render([whole]) == unit.render([replace(whole, split_k=8)])
    assert call.sizes_of(Gemm(8, 16, 4096), replace(whole, split_k=8))[-1] == 8


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_is_split_only_where_later_slices_may_read_c(chain):
    steps = Epilogue.parse(chain).steps
    linear = [step for step in steps if step in ("bias", "residual")]
    curved = len(steps) - len(linear)
    simple = len(linear) <= 1 and curved <= 1 and steps[: len(linear)] == tuple(linear)
    assert splits(kernel(AMPERE, epilogue=chain)) is simple
    assert (form_of(Epilogue(steps)) == "chain") is not simple
    text = unit.render([kernel(AMPERE, epilogue=chain)]).text
    assert ("triptych::Chain<" in text) is not simple
    assert ("struct Softplus" in text) is ("softplus" in steps)


def test_a_float_bias_beside_bytes_is_a_vector():
    assert form_of(RELU, "int8") == "chain"
    assert form_of(RELU, "float16") == "source"
    found = kernel(AMPERE, **INT8, instruction=(16, 8, 32), epilogue="bias+relu")
    assert call.tensors_of(found)["bias"] == "float32"


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (AMPERE, REGISTER | {"family": "b2b_gemm", "epilogue0": "relu+bias"}, "epilogue0"),
        (AMPERE, REGISTER | {"family": "b2b_gemm", "epilogue": "bias+residual"}, "epilogue"),
        (HOPPER, {"align_c": 4}, "align_c"),
    ],
)
def test_what_the_templates_lack_is_refused(base, changes, message):
    with pytest.raises(ValueError, match=message):
        unit.render([kernel(base, **changes)])


def test_a_unit_has_kernels_of_one_target():
    with pytest.raises(ValueError, match="one architecture"):
        unit.render([])
    with pytest.raises(ValueError, match="one architecture"):
        unit.render([kernel(AMPERE), kernel(AMPERE, arch="sm_86")])
    found = units(sample(), 5)
    assert sorted(repr(k) for group in found for k in group) == sorted(map(repr, sample()))
    assert all(len(group) <= 5 and len({k.arch for k in group}) == 1 for group in found)


def test_a_text_refuses_headers_of_another_version():
    assert (
        "static_assert(CUTLASS_MAJOR == 4 && CUTLASS_MINOR == 2" in unit.render(sample()[:1]).text
    )


@pytest.mark.parametrize("base", [*pairs(AMPERE), kernel(AMPERE, family="conv2d")])
def test_arguments_are_the_operators_tensors(base):
    if base.is_pair:
        first = Gemm(256, 64, 576, epilogue=RELU)
        operator = Pair(first, Gemm(256, 128, 64, epilogue=RELU))
        if base.family == "b2b_conv":
            first = Conv2d(2, 14, 14, 32, 64, padding=(1, 1), epilogue=RELU)
            operator = Pair(first, Conv2d(2, 14, 14, 64, 128, (1, 1), epilogue=RELU))
    else:
        operator = Conv2d(2, 14, 14, 32, 64)
    tensors = call.arguments_of(operator, base)
    known = {operand.name: operand for operand in operator.operands()}
    assert [t.name for t in tensors] == list(known)
    for tensor in tensors:
        assert sorted(tensor.shape) == sorted(known[tensor.name].shape)
        packed = tensor.name.startswith("b") and not tensor.name.startswith("bias")
        assert (tensor.shape == known[tensor.name].shape) is not packed


def test_a_pair_without_first_bias_is_given_zeros():
    relu = Epilogue(("relu",))
    operator = Pair(Gemm(64, 32, 8, epilogue=relu), Gemm(64, 16, 32, epilogue=relu))
    found = kernel(
        AMPERE, **REGISTER | {"epilogue": "relu", "epilogue0": "relu"}, family="b2b_gemm"
    )
    roles = {
        tensor.name: (tensor.role, tensor.shape) for tensor in call.arguments_of(operator, found)
    }
    assert roles["bias"] == ("zeros", (32,))


REPORT = """ptxas info    : 11 bytes gmem
ptxas info    : Compiling entry function '_ZN7cutlass6KernelIN17gemm_0123456789ab1KEEEv' for 'sm_80'
ptxas info    : Function properties for _ZN7cutlass6KernelIN17gemm_0123456789ab1KEEEv
    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 228 registers, used 1 barriers, 1024 bytes smem, 712 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN7cutlass6KernelIN17conv_0123456789ab1KEEEv' for 'sm_80'
ptxas info    : Used 96 registers, 352 bytes cmem[0]
"""


def test_a_report_tells_of_each_kernel():
    found = of_symbols(REPORT, ["gemm_0123456789ab", "conv_0123456789ab", "pair_0123456789ab"])
    assert found == {
        "gemm_0123456789ab": Resources(228, 8, 12, 16, 1024),
        "conv_0123456789ab": Resources(96, 0, 0, 0, 0),
    }
    assert [r.spills for r in found.values()] == [True, False]


@pytest.mark.parametrize("cut", range(0, len(REPORT), 61))
def test_a_torn_report_gives_what_it_holds(cut):
    whole = entries(REPORT)
    assert entries(REPORT[:cut]).items() <= whole.items()


def test_the_library_is_a_template_library():
    library = CutlassTemplates("h200")
    operator = OPERATORS[0]
    native = library.native(operator)
    assert 10 <= len(native) <= 40
    assert set(native) <= set(library.candidates(operator))
    assert all(library.estimate_s(operator, candidate) > 0 for candidate in native)
    assert "epilogue" in str(library.rejected(Gemm(1280, 768, 768), native[0]))
    assert "sm_90" in str(CutlassTemplates("a100-80").rejected(operator, native[0]))
    with pytest.raises(ValueError, match="runs sm_80"):
        CutlassTemplates("a100-80", "sm_90a")


@pytest.mark.parametrize("name", ["gemm", "conv", "pairs", "padding"])
def test_every_problem_of_the_paper_has_candidates(name):
    for gpu in ("t4", "a100-80", "h200"):
        library = CutlassTemplates(gpu)
        for operator in problems([name]):
            refused = isinstance(operator, Pair) and library.arch == "sm_75"
            assert refused or library.native(operator), (gpu, operator.text())


def test_problem_sets_are_named():
    assert {"gemm", "conv", "pairs"} <= set(SETS)
    with pytest.raises(ValueError, match="'gems' is none of"):
        problems(["gems"])


def test_names_in_a_unit_are_c(tmp_path):
    text = unit.render(sample()[:12]).text
    assert all(re.fullmatch(r"\w+", name) for name in re.findall(r"int (\S+)_run\(", text))
