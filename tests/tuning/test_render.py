"""From candidate to C++ text: what is shared, what is told apart, what is exported."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tuning.compile import ObjectCache
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.templates.cpu.device import isas
from tuning.templates.cpu.library import CpuTemplates
from tuning.templates.cpu.render import call_blocks, call_dims, render, unit

LIBRARY = CpuTemplates(threads=2)


def test_shapes_and_blocks_share_one_object() -> None:
    small, large = Gemm(64, 64, 64), Gemm(640, 128, 256)
    first = LIBRARY.native(small)[0]
    same = dataclasses.replace(LIBRARY.native(large)[0], compiled=first.compiled)
    assert render(small, first).digest == render(large, same).digest


def test_what_is_compiled_in_changes_the_object() -> None:
    operator = Gemm(640, 128, 256)
    digests = {one.compiled: render(operator, one).digest for one in LIBRARY.native(operator)}
    assert len(set(digests.values())) == len(digests)
    one = LIBRARY.native(operator)[0]
    curved = dataclasses.replace(operator, epilogue=Epilogue(("gelu",)))
    given = dataclasses.replace(operator, constant_b=False)
    texts = {render(o, one).digest for o in (operator, curved, given)}
    assert len(texts) == 3


@pytest.mark.parametrize("name", ["run", "pack", "packed_floats", "scratch_bytes"])
def test_a_unit_exports_its_functions_under_its_prefix(name: str) -> None:
    operator = Conv2d(1, 8, 8, 4, 4)
    assert f"layer7_{name}(" in unit(operator, LIBRARY.native(operator)[0], "layer7")


def test_arguments_are_the_shape_then_the_blocks() -> None:
    assert call_dims(Gemm(2, 3, 4, batch=5)) == (5, 2, 3, 4)
    assert len(call_dims(Conv2d(1, 8, 8, 4, 4))) == 13
    assert call_dims(Pair(Gemm(2, 3, 4), Gemm(2, 5, 3))) == (1, 2, 3, 4, 1, 2, 5, 3)
    one = LIBRARY.native(Gemm(64, 64, 64))[0]
    assert len(call_blocks(one)) == 5
    bare = dataclasses.replace(one, runtime=tuple(p for p in one.runtime if p[0] != "stream"))
    assert call_blocks(bare)[-1] == 0


def test_accumulators_stay_in_the_sixteen_registers_of_avx2(tmp_path: Path) -> None:
    """No multiply-add of a tile that fits the register file has the stack as an operand."""
    assert "avx2" in isas(), "run the tests on a CPU with AVX2"
    objdump = shutil.which("objdump")
    assert objdump is not None, "comes with g++"
    operator = Gemm(1200, 1536, 128, epilogue=Epilogue(("bias", "relu")))
    natives = CpuTemplates("avx2", threads=1).native(operator)
    tiles = {one.compiled: one for one in natives if one.params["gather"] == "direct"}
    sources = [render(operator, one) for one in tiles.values()]
    for made in ObjectCache(tmp_path).compile(sources):
        assert made.path is not None, made.message
        command = [objdump, "-d", "--no-show-raw-insn", str(made.path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sums = re.findall(r"vfmadd\w+ps.*", text)
        assert sums
        assert not [line for line in sums if "(%rsp)" in line or "(%rbp)" in line]
