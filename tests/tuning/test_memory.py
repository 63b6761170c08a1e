"""What measuring an operator takes, and what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.needs import need
from tests.tuning.fakes import OPERATOR
from tuning.operators import Conv2d, Gemm, Pair
from tuning.profile import TooLargeError
from tuning.profile.memory import available_bytes, needed_bytes, wanted_output


def test_an_allocator_that_gives_up_is_told(monkeypatch):
    need("torch")

    def full(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory\nsomewhere")

    monkeypatch.setattr("tuning.profile.memory.reference", full)
    with pytest.raises(TooLargeError, match=r"gemm 8x8x8 none: no reference: Default.* memory$"):
        wanted_output(OPERATOR, 0)


@pytest.mark.parametrize(
    "operator",
    [
        OPERATOR,
        Conv2d(1, 8, 8, 4, 4, padding=(9, 9)),
        Pair(Gemm(64, 512, 4), Gemm(64, 4, 512)),
    ],
)
def test_the_memory_that_is_needed_holds_all_tensors(operator):
    assert needed_bytes(operator) >= sum(o.nbytes for o in operator.operands())


def test_of_machine_and_control_group_the_lesser_counts(tmp_path: Path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\nHugePages_Total: 0\n")
    assert available_bytes(meminfo, tmp_path / "none") == 4000 << 10
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 9\ninactive_file 1500000\nactive_file 500000\n")
    for most, free in (("max", 4000 << 10), ("1500000", 500_000), (f"{1 << 40}", 4000 << 10)):
        (tmp_path / "memory.max").write_text(f"{most}\n")
        assert available_bytes(meminfo, tmp_path) == free
