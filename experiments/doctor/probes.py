"""One small probe per capability: bounded time, and nothing that outlives it.

A probe returns the version ("" if it has none) where the capability is there, else None. It may
raise; `survey` takes that as a lack.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.metadata
import importlib.util
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from experiments.paths import ROOT
from experiments.setup import gpu
from experiments.setup.packages import PYTHON_FOLDERS, find_program
from experiments.setup.programs import run_program

Probe = Callable[[], str | None]

SECONDS = 10.0
"""Bound on each program that a probe calls."""

_LEAST_DATAPATH = (6, 10)
"""The datapath is written for the callbacks of Linux 6.10 (docs/datapath.md)."""
_AVAILABLE = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
_BPF_PROG_GET_NEXT_ID = 11
_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}


def version_in(text: str) -> str:
    """Return the first thing in `text` that looks like a version, or ""."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else ""


def _told(done: CompletedProcess[str]) -> str:
    return version_in(done.stdout + done.stderr)


def _root() -> str | None:
    return "" if os.geteuid() == 0 else None


def _netns() -> str | None:
    run_program(["unshare", "-n", "true"], timeout_s=SECONDS)
    return ""


def _mininet() -> str | None:
    """Read the version from the package: `mn --version` imports all of it, for seconds if busy."""
    if find_program("mn") is None:
        return None
    for folder in PYTHON_FOLDERS:
        source = Path(folder) / "mininet" / "net.py"
        if source.is_file():
            told = re.search(r'^VERSION = "(.+)"', source.read_text("utf-8"), re.MULTILINE)
            return told[1] if told else ""
    return None


def _netem() -> str | None:
    netem = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    run_program(["tc", "-V"], timeout_s=SECONDS)
    run_program(["unshare", "-n", *netem], timeout_s=SECONDS)
    return platform.release()


def _bpf() -> str | None:
    """Tell whether the kernel describes its types and lets this process use bpf(2)."""
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None or not Path("/sys/kernel/btf/vmlinux").exists():
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    request = ctypes.create_string_buffer(64)  # "which program comes first?": reads only
    answer = libc.syscall(number, _BPF_PROG_GET_NEXT_ID, request, len(request))
    allowed = answer == 0 or ctypes.get_errno() == errno.ENOENT
    return platform.release() if allowed else None


def _clang() -> str | None:
    return _told(run_program(["clang", "--version"], timeout_s=SECONDS))


def _bpftool() -> str | None:
    return _told(run_program(["bpftool", "version"], timeout_s=SECONDS))


def _iperf3() -> str | None:
    return _told(run_program(["iperf3", "--version"], timeout_s=SECONDS))


def _package(module: str, distribution: str) -> str | None:
    """Look for an installed package without importing it."""
    if importlib.util.find_spec(module) is None:
        return None
    return importlib.metadata.version(distribution)


def _tvm() -> str | None:
    return _package("tvm", "apache-tvm")


def _torch() -> str | None:
    return _package("torch", "torch")


def _vllm() -> str | None:
    home = Path(os.environ.get("TRIPTYCH_VLLM") or ROOT / ".venv-vllm")
    folders = home.glob("lib/python3*/site-packages/vllm*-*.dist-info")
    names = [re.fullmatch(r"vllm(?:_cpu)?-(.+)\.dist-info", folder.name) for folder in folders]
    return next((name[1] for name in names if name), None)


def _nvcc() -> str | None:
    return _told(run_program(["nvcc", "--version"], timeout_s=SECONDS))


def _cutlass() -> str | None:
    if given := os.environ.get("TRIPTYCH_CUTLASS"):
        return given if (Path(given) / "include/cutlass/version.h").is_file() else None
    return _package("cutlass_library", "nvidia-cutlass")


def _gpu() -> str | None:
    return ", ".join(gpu.nvidia_gpus()) or None


def _julia() -> str | None:
    return _told(run_program(["julia", "--version"], timeout_s=SECONDS))


def _browser() -> str | None:
    run_program(["chromedriver", "--version"], timeout_s=SECONDS)
    return _told(run_program(["chromium", "--version"], timeout_s=SECONDS))


def _ns3() -> str | None:
    libraries = [*Path("/usr/lib").glob("libns3*core*"), *Path("/usr/lib").glob("*/libns3*core*")]
    include = Path("/usr/include")
    headers = [*include.glob("ns3*/core-module.h"), *include.glob("ns3*/ns3/core-module.h")]
    if not headers or not libraries:
        return None
    return _told(run_program(["pkg-config", "--modversion", "ns3-core"], timeout_s=SECONDS))


def _cc() -> str | None:
    return _told(run_program(["gcc", "--version"], timeout_s=SECONDS))


def _realtime() -> str | None:
    """Tell whether a process that we start may have real-time priority."""
    run_program(["chrt", "-f", "50", "true"], timeout_s=SECONDS)
    return ""


def _struct_ops() -> str | None:
    """Tell whether the kernel takes TCP congestion controls in eBPF as the datapath's are."""
    release = platform.release()
    found = re.match(r"(\d+)\.(\d+)", release)
    if found is None or (int(found[1]), int(found[2])) < _LEAST_DATAPATH:
        return None
    described = Path("/sys/kernel/btf/vmlinux").read_bytes()
    return release if b"\0bpf_struct_ops_tcp_congestion_ops\0" in described else None


def _congestion(name: str) -> Probe:
    """Return the probe of one of the kernel's own congestion controls, loaded or built in."""

    def probe() -> str | None:
        return "" if name in _AVAILABLE.read_text(encoding="ascii").split() else None

    return probe


PROBES: dict[str, Probe] = {
    "root": _root,
    "netns": _netns,
    "mininet": _mininet,
    "netem": _netem,
    "bpf": _bpf,
    "clang": _clang,
    "bpftool": _bpftool,
    "iperf3": _iperf3,
    "tvm": _tvm,
    "torch": _torch,
    "vllm": _vllm,
    "nvcc": _nvcc,
    "gpu": _gpu,
    "julia": _julia,
    "browser": _browser,
    "ns3": _ns3,
    "cc": _cc,
    "realtime": _realtime,
    "struct_ops": _struct_ops,
    **{name: _congestion(name) for name in ("cubic", "bbr", "reno")},
    "cutlass": _cutlass,
}
"""Capability -> probe, in the order in which they are shown."""
