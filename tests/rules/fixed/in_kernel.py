"""Rules inside the kernel: loaded through its verifier and run there, by bpf(2) alone.

A program of type `syscall` gets a block of memory and may change it (Linux, `man 2 bpf`; commands
BPF_PROG_LOAD and BPF_PROG_TEST_RUN of include/uapi/linux/bpf.h). It is gone once its descriptor is
closed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.setup.programs import run_program
from policies.rules.fixed.c_source import BPF_FLAGS, c_fixed
from policies.rules.fixed.compile import FixedRule
from tests.rules.fixed.compiled_fixed import STRICT

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_LOAD, _RUN, _TYPE_SYSCALL, _SLEEPABLE = 5, 10, 31, 16
_LOG_BYTES = 16 << 20
_SECTION = b"rule"

_PROGRAM = """\
struct context { s64 inputs[@WIDTH@]; s64 action; };
__attribute__((section("rule"), used)) int decide_once(struct context *context)
{
    context->action = decide(context->inputs);
    return 0;
}
"""


def bpf_code(folder: Path, fixed: FixedRule) -> bytes:
    """Compile a rule for BPF; return its instructions, eight bytes each."""
    source, made = folder / "rule.bpf.c", folder / "rule.bpf.o"
    program = _PROGRAM.replace("@WIDTH@", str(len(fixed.inputs)))
    source.write_text(c_fixed(fixed, "decide") + program, encoding="utf-8")
    run_program(["clang", *BPF_FLAGS, *STRICT, "-c", source, "-o", made], timeout_s=120)
    return _section(made.read_bytes(), _SECTION)


def decisions_in_kernel(code: bytes, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what a rule decides in the kernel.

    Raises:
        OSError: the verifier refuses it; the message ends as its log does.
    """
    actions = np.empty(len(rows), np.int64)
    with _loaded(code) as program:
        for n, row in enumerate(rows):
            context = ctypes.create_string_buffer(row.tobytes() + bytes(8), 8 * (len(row) + 1))
            address = ctypes.addressof(context)
            _bpf(_RUN, struct.pack("=IIIIQQIIIIQQ", program, 0, 0, 0, 0, 0, 0, 0,
                                   len(context), 0, address, 0))  # fmt: skip
            actions[n] = struct.unpack_from("=q", context, 8 * len(row))[0]
    return actions


@contextmanager
def _loaded(code: bytes) -> Iterator[int]:
    instructions = ctypes.create_string_buffer(code, len(code))
    license_, log = ctypes.create_string_buffer(b"GPL"), ctypes.create_string_buffer(_LOG_BYTES)
    places = [ctypes.addressof(block) for block in (instructions, license_, log)]
    load = struct.pack("=IIQQIIQII", _TYPE_SYSCALL, len(code) // 8, *places[:2], 1,
                       _LOG_BYTES, places[2], 0, _SLEEPABLE)  # fmt: skip
    try:
        program = _bpf(_LOAD, load)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {log.value[-500:].decode()}") from None
    try:
        yield program
    finally:
        os.close(program)


def _bpf(command: int, attributes: bytes) -> int:
    block = ctypes.create_string_buffer(attributes, len(attributes))
    library = ctypes.CDLL(None, use_errno=True)
    number = _SYSCALL[platform.machine()]
    found = library.syscall(number, command, ctypes.byref(block), len(attributes))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def _section(elf: bytes, name: bytes) -> bytes:
    """Return a section of a 64-bit little-endian ELF file (System V gABI, chapter 4)."""
    (table,) = struct.unpack_from("<Q", elf, 40)
    count, names = struct.unpack_from("<HH", elf, 60)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + 64 * n) for n in range(count)]
    for header in headers:
        at = headers[names][4] + header[0]
        if elf[at : elf.index(b"\0", at)] == name:
            return elf[header[4] : header[4] + header[5]]
    raise AssertionError(f"no section {name!r}")
