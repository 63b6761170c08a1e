"""The program's headers compiled for user space: arithmetic, intervals, inputs and records in C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emu.datapath.build import SOURCES
from emu.datapath.records import RECORD
from emu.datapath.settings import inputs_table
from experiments.setup.programs import run_program

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-fwrapv")

_SHIM = """
#include <stddef.h>
#include "record.h"

u64 c_ratio(u64 a, u64 b) { return ratio(a, b); }
u64 c_rate_of(u64 bits, u64 us) { return rate_of(bits, us); }
s64 c_log2_plus_one(u32 n) { return log2_plus_one(n); }
u64 c_power_of_two(s64 t) { return power_of_two(t); }
u64 c_scaled(u64 rate, u64 factor) { return scaled(rate, factor); }

static struct dp_interval interval;
static struct dp_memory memory;

void c_begin(void) { begin_inputs(&memory); }
void c_table(s64 *out)
{
    for (int i = 0; i < INPUT_COUNT; i++)
        out[i] = memory.table[i];
}
void c_acks(const u64 *rows, long count)
{
    open_interval(&interval, 0, rows[0], 0);
    for (long i = 0; i < count; i++)
        add_ack(&interval, rows[3 * i], (u32)rows[3 * i + 1], (u32)rows[3 * i + 2]);
}
void c_told(u64 *out)
{
    const u64 span = interval.last_ack_us - interval.first_ack_us;
    const u64 values[] = {interval.rtt_sum_us, first_half_us(&interval), span, interval.acked,
                          interval.least_rtt_us, (u64)interval.sum_x, (u64)interval.sum_y,
                          (u64)interval.sum_xy, (u64)interval.sum_xx};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        out[i] = values[i];
}
void c_update(u64 start_us, u64 end_us, u32 sent, u32 lost, u64 min_rtt_us, u32 packet_bits)
{
    interval.start_us = start_us;
    interval.end_us = end_us;
    interval.sent = sent;
    interval.lost = lost;
    memory.min_rtt_us = min_rtt_us;
    account(&memory, &interval, packet_bits);
    update_inputs(&memory, &interval);
}
"""
TOLD = (
    *("rtt_sum_us", "first_half_us", "ack_span_us", "acked", "least_rtt_us"),
    *("sum_x", "sum_y", "sum_xy", "sum_xx"),
)


def library(folder: Path, by_sent: bool) -> Any:
    """Return the headers as a shared object, with offsets of a record's fields in `offset_NAME`."""
    (folder / "inputs_table.h").write_text(inputs_table(), encoding="utf-8")
    defines = f"#define BY_SENT {int(by_sent)}\n#define RECORD_BYTES {RECORD.itemsize}\n"
    offsets = "".join(
        f"const u64 offset_{name} = offsetof(struct dp_record, {name});\n"
        for name in RECORD.names or ()
    )
    source, made = folder / "shim.c", folder / "shim.so"
    source.write_text(defines + _SHIM + offsets, encoding="utf-8")
    command = ["g++", "-x", "c", *FLAGS, f"-I{SOURCES}", f"-I{folder}", "-shared", "-fPIC"]
    run_program([*command, str(source), "-o", str(made)], timeout_s=100)
    found = ctypes.CDLL(str(made))
    u64, s64, u32 = ctypes.c_uint64, ctypes.c_int64, ctypes.c_uint32
    for name, result, arguments in (
        ("c_ratio", u64, [u64, u64]),
        ("c_rate_of", u64, [u64, u64]),
        ("c_log2_plus_one", s64, [u32]),
        ("c_power_of_two", u64, [s64]),
        ("c_scaled", u64, [u64, u64]),
        ("c_update", None, [u64, u64, u32, u32, u64, u32]),
    ):
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


def acks(found: Any, rows: Sequence[tuple[int, int, int]]) -> dict[str, int]:
    """Give an interval its (time us, packets, RTT us) of ACKs; return what it tells."""
    flat = (ctypes.c_uint64 * (3 * len(rows)))(*(value for row in rows for value in row))
    found.c_acks(flat, ctypes.c_long(len(rows)))
    out = (ctypes.c_int64 * len(TOLD))()
    found.c_told(out)
    return dict(zip(TOLD, out, strict=True))


def table(found: Any, width: int) -> list[int]:
    """Return the table of inputs."""
    out = (ctypes.c_int64 * width)()
    found.c_table(out)
    return list(out)
