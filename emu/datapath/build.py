"""Compiles the program for the running kernel, into a cache named by hashes of what made it."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from emu.datapath import machine
from emu.datapath.decision import Decision
from emu.datapath.problems import DatapathError
from emu.datapath.settings import Settings, inputs_table
from experiments.paths import cache_root
from experiments.setup.programs import ProgramError, run_program

SOURCES = Path(__file__).resolve().parent / "bpf"
PROGRAM = "rate.bpf.c"
OPERATIONS = "rate"
"""Name of the struct_ops map in the object."""
FLAGS = ("-O2", "-g", "-target", "bpf", "-mcpu=v3", "-fno-crash-diagnostics")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")
_TARGETS = {"x86_64": "x86", "aarch64": "arm64"}
_MOST_OBJECTS = 100
_TIMEOUT_S = 120.0


def generated(settings: Settings, decision: Decision | None) -> dict[str, str]:
    """Return the headers that are made per load, by name; without a decision an agent decides."""
    headers = {
        "config.h": settings.header(rule_mode=decision is not None),
        "inputs_table.h": inputs_table(),
    }
    return headers | ({"rule.h": decision.header()} if decision else {})


def build(settings: Settings, decision: Decision | None = None) -> Path:
    """Return the object of a program, compiled unless it is in the cache.

    Raises:
        DatapathError: this machine cannot build it, or the compiler refuses the rule.
    """
    return compile_object(SOURCES / PROGRAM, generated(settings, decision))


def compile_object(source: Path, headers: Mapping[str, str]) -> Path:
    """Return the object of a program in eBPF, compiled unless it is in the cache.

    Args:
        source: it; headers beside it are found.
        headers: text of those that are generated, by name.

    Raises:
        DatapathError: this machine cannot build it, or the compiler refuses it.
    """
    machine.check_build()
    try:
        kernel = _kernel_types()
        path = _folder() / "objects" / f"{_key(source, headers, kernel)}.o"
        if path.exists():
            os.utime(path)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        _compile(source, headers, kernel, path)
    except (ProgramError, OSError) as error:
        raise DatapathError(f"cannot build the datapath: {error}") from None
    _sweep(path.parent)
    return path


def _folder() -> Path:
    return cache_root() / "datapath"


def _kernel_types() -> Path:
    """Return the folder of vmlinux.h of the running kernel, made unless it is in the cache."""
    digest = hashlib.sha256(machine.BTF.read_bytes()).hexdigest()[:16]
    folder = _folder() / f"kernel-{digest}"
    header = folder / "vmlinux.h"
    if not header.exists():
        command = ["bpftool", "btf", "dump", "file", machine.BTF, "format", "c"]
        text = run_program(command, timeout_s=_TIMEOUT_S).stdout
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"vmlinux.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(header)
    return folder


def _key(source: Path, headers: Mapping[str, str], kernel: Path) -> str:
    digest = hashlib.sha256()
    version = run_program(["clang", "--version"], timeout_s=_TIMEOUT_S).stdout
    parts = [kernel.name, version, *FLAGS, *WARNINGS, source.name]
    parts += [part for name in sorted(headers) for part in (name, headers[name])]
    parts += [path.read_text(encoding="utf-8") for path in sorted(source.parent.iterdir())]
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:32]


def _compile(source: Path, headers: Mapping[str, str], kernel: Path, path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=path.parent))
    try:
        for name, text in headers.items():
            (folder / name).write_text(text, encoding="utf-8")
        target = _TARGETS.get(platform.machine(), platform.machine())
        command = ["clang", *FLAGS, *WARNINGS]
        command += [f"-D__TARGET_ARCH_{target}", f"-I{folder}", f"-I{source.parent}", f"-I{kernel}"]
        made = folder / "made.o"
        command += ["-c", str(source), "-o", str(made)]
        done = run_program(command, timeout_s=_TIMEOUT_S, check=False)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            told = " | ".join(errors[:3]) or f"exit code {done.returncode}"
            raise DatapathError(f"clang refuses the program: {told.replace(f'{folder}/', '')}")
        made.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove the objects that were used longest ago beyond a number."""
    found = sorted(folder.glob("*.o"), key=lambda path: path.stat().st_mtime)
    for path in found[:-_MOST_OBJECTS]:
        path.unlink(missing_ok=True)
