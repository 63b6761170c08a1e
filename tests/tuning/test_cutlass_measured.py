"""Files of CUTLASS's profiler: what is read, what is left out, and nothing that crashes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.gpu.kernel_hardware import kernel_gpu
from tuning.operators import Conv2d, Gemm
from tuning.templates.cutlass import measured
from tuning.templates.cutlass.measured import (
    MeasurementsError,
    parse_measurements,
    read_measurements,
)
from tuning.templates.cutlass.regret import Group, groups, regret

COLUMNS = (
    *("Problem", "Provider", "OperationKind", "Operation", "Disposition", "Status", "conv_kind"),
    *("n", "h", "w", "c", "k", "r", "s", "p", "q", "pad_h", "pad_w", "stride_h", "stride_w"),
    *("dilation_h", "dilation_w", "Activation", "Filter", "Output", "op_class", "accum"),
    *("cta_m", "cta_n", "cta_k", "stages", "warps_m", "warps_n", "warps_k"),
    *("inst_m", "inst_n", "inst_k", "Runtime"),
)
ROW: dict[str, object] = {
    "Problem": 1,
    "Provider": "CUTLASS",
    "OperationKind": "conv2d",
    "Operation": "cutlass_tensorop_h16816fprop_optimized_128x128_32x3_nhwc_align8",
    "Disposition": "passed",
    "Status": "success",
    "conv_kind": "fprop",
    **dict(zip("nhwckrs", (8, 28, 28, 128, 128, 3, 3), strict=True)),
    **{"p": 28, "q": 28, "pad_h": 1, "pad_w": 1, "stride_h": 1, "stride_w": 1},
    **{"dilation_h": 1, "dilation_w": 1},
    **{"Activation": "f16:nhwc", "Filter": "f16:nhwc", "Output": "f16:nhwc"},
    **{"op_class": "tensorop", "accum": "f16", "stages": 3, "Runtime": 0.25},
    **{"cta_m": 128, "cta_n": 128, "cta_k": 32, "warps_m": 2, "warps_n": 2, "warps_k": 1},
    **{"inst_m": 16, "inst_n": 8, "inst_k": 16},
}


def text(*changes: Mapping[str, object]) -> str:
    lines = [",".join(COLUMNS)]
    lines += [",".join(str((ROW | dict(change))[name]) for name in COLUMNS) for change in changes]
    return "\n".join(lines) + "\n"


def test_a_row_is_the_operator_and_kernel_that_it_names() -> None:
    (row,) = parse_measurements(text({}), "sm_86").rows
    assert row.operator == Conv2d(8, 28, 28, 128, 128, (3, 3), (1, 1), (1, 1))
    assert row.milliseconds == 0.25
    kernel = row.kernel
    assert (kernel.tile, kernel.warp, kernel.stages) == ((128, 128, 32), (64, 64, 32), 3)
    assert (kernel.align_a, kernel.swizzle, kernel.accumulate) == (8, 4, "float16")


def test_float32_outputs_are_written_16_bytes_at_a_time() -> None:
    change = {"accum": "f32", "Output": "f32:nhwc"}
    (row,) = parse_measurements(text(change), "sm_86").rows
    assert (row.kernel.output, row.kernel.align_c) == ("float32", 4)


def test_gemms_are_read_too() -> None:
    columns = (*COLUMNS, "m", "A", "B", "C")
    values = ROW | {"OperationKind": "gemm", "m": 512, "n": 256, "k": 128}
    values |= {"A": "f16:row", "B": "f16:column", "C": "f16:row"}
    lines = [",".join(columns), ",".join(str(values[name]) for name in columns)]
    (row,) = parse_measurements("\n".join(lines), "sm_80").rows
    assert row.operator == Gemm(512, 256, 128)
    assert row.kernel.swizzle == 8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Status": "error_internal"}, "did not succeed"),
        ({"op_class": "simt"}, "tensor core"),
        ({"Runtime": "nan"}, "no time"),
        ({"Runtime": "inf"}, "no time"),
        ({"Runtime": "-1"}, "no time"),
        ({"Runtime": "0"}, "no time"),
        ({"Runtime": ""}, "no time"),
        ({"OperationKind": "trmm"}, "neither"),
        ({"conv_kind": "wgrad"}, "fprop"),
        ({"h": "1e3"}, "whole number"),
        ({"h": "-28"}, "whole number"),
        ({"h": "٢٨"}, "whole number"),
        ({"h": "99999999999"}, "whole number"),
        ({"h": "0"}, "height"),
        ({"n": "2000000000", "h": 2000, "w": 2000}, "too large"),
        ({"warps_m": "0"}, "warps_m"),
        ({"warps_m": "3"}, "warp"),
        ({"cta_m": "100000"}, "tile"),
        ({"stages": "40"}, "stages"),
        ({"inst_k": "7"}, "instruction"),
        ({"accum": "f64"}, "f64"),
        ({"Activation": "cf32:nhwc"}, "cf32"),
        ({"Activation": ""}, ""),
        ({"Operation": "cutlass_tensorop"}, "alignment"),
        ({"Operation": "cutlass_align0"}, "align"),
        ({"Operation": "cutlass_align77"}, "align"),
    ],
)
def test_rows_that_are_no_kernel_are_left_out_and_counted(
    change: dict[str, object], reason: str
) -> None:
    found = parse_measurements(text({}, change), "sm_86")
    assert len(found.rows) == 1
    (why,) = found.skipped
    assert reason in why
    assert found.skipped[why] == 1
    with pytest.raises(MeasurementsError, match="no row of a kernel"):
        parse_measurements(text(change), "sm_86")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no column"),
        ("a,b\n1,2\n", "has no column 'OperationKind'"),
        (",".join(COLUMNS) + "\n", "it is empty"),
        (",".join(COLUMNS) + '\n"unclosed', "measurements"),
        (",".join(COLUMNS) + "\n" + "x" * 200_000 + "\n", "measurements"),
    ],
)
def test_what_is_no_file_of_the_profiler_is_refused(content: str, words: str) -> None:
    with pytest.raises(MeasurementsError, match=words):
        parse_measurements(content, "sm_86")


def test_files_that_cannot_be_read_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MeasurementsError, match="No such file"):
        read_measurements(tmp_path / "none.csv", "sm_86")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MeasurementsError, match="is not text"):
        read_measurements(binary, "sm_86")
    large = tmp_path / "large.csv"
    large.write_text(text({}), encoding="utf-8")
    monkeypatch.setattr(measured, "LARGEST_BYTES", 10)
    with pytest.raises(MeasurementsError, match="10 at most"):
        read_measurements(large, "sm_86")
    monkeypatch.undo()
    monkeypatch.setattr(measured, "LARGEST_ROWS", 1)
    with pytest.raises(MeasurementsError, match="more than 1 rows"):
        parse_measurements(text({}, {}), "sm_86")


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1))
def test_mangled_files_are_read_or_refused(seed: int) -> None:
    """Bytes of a sound file changed, dropped and doubled."""
    luck = random.Random(seed)
    mangled = list(text({}, {"stages": 4}, {"k": 64}))
    for _ in range(luck.randint(1, 30)):
        place = luck.randrange(len(mangled))
        kind = luck.randrange(3)
        if kind == 0:
            mangled[place] = chr(luck.randrange(1, 0x2FF))
        elif kind == 1:
            del mangled[place : place + luck.randint(1, 40)]
        else:
            mangled[place:place] = mangled[: luck.randint(1, 40)]
        mangled = mangled or [","]
    try:
        found = parse_measurements("".join(mangled), "sm_86")
    except MeasurementsError:
        return
    assert all(row.milliseconds > 0 for row in found.rows)


def test_regret_is_of_the_best_among_the_first() -> None:
    predicted, times = (3.0, 1.0, 2.0, 4.0), (1.0, 4.0, 2.0, 8.0)
    assert [regret(predicted, times, k) for k in (1, 2, 3, 4, 9)] == [4, 2, 1, 1, 1]
    assert regret((1.0, 1.0), (3.0, 1.0), 1) == 3.0
    with pytest.raises(ValueError, match="k: 0"):
        regret(predicted, times, 0)
    with pytest.raises(ValueError, match="predicted"):
        regret((), (), 1)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=20))
def test_more_candidates_never_lose_more(pairs: list[tuple[float, float]]) -> None:
    predicted, times = zip(*pairs, strict=True)
    losses = [regret(predicted, times, k) for k in range(1, len(pairs) + 1)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == 1.0
    assert regret(times, times, 1) == 1.0


def test_groups_are_operators_and_keep_the_widest_access() -> None:
    narrow = {"Operation": "cutlass_tensorop_align4"}
    other = {"k": 64}
    rows = parse_measurements(text({}, narrow, {"stages": 4}, other), "sm_86").rows
    found = groups(rows, kernel_gpu("rtx3070"), aligned=True)
    assert sorted(len(group.measured) for group in found) == [1, 2]
    everything = groups(rows, kernel_gpu("rtx3070"), aligned=False)
    assert sorted(len(group.measured) for group in everything) == [1, 3]
    same = Group(rows[0].operator, (1.0, 2.0), (1.0, 4.0))
    assert same.mean_error == 0.25
    assert same.spread == 2.0
