"""The list of capabilities: probed together, kept for an hour for whoever needs it at once."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.paths import ROOT, cache_root
from experiments.setup.packages import PROGRAMS

CACHE_SECONDS = 3600.0


@dataclass(frozen=True)
class Capability:
    """One thing that a machine may have.

    Attributes:
        name: the name that manifests write under `needs`.
        present: whether it is here and usable by this user.
        version: its version or model, "" if it has none or is absent.
        affects: globs of experiments and other parts that need it or gain by it.
        fix: one line: what to do to have it.
    """

    name: str
    present: bool
    version: str
    affects: tuple[str, ...]
    fix: str


_EMULATED = ("symbolicpcc/*-emu", "symbolicpcc/sim-vs-emu")
_IN_KERNEL = ("symbolicpcc/*-emu", "symbolicpcc/sim-vs-emu", "symbolicpcc/ack-cost")
_ON_GPU = ("bolt/fig*", "bolt/table[1-3]", "blendserve/overlap-gpu", "blendserve/gpu-engine")
_ON_CPU = ("bolt/cpu-*", "bolt/table[4-6]", "bolt/tuning-time")

_MEANING: dict[str, tuple[tuple[str, ...], str]] = {
    "root": (_EMULATED, "run as root, in a container or virtual machine of your own"),
    "netns": (_EMULATED, "run as root where network namespaces may be made (unshare -n)"),
    "mininet": (_EMULATED, PROGRAMS["mn"].remedy),
    "netem": (
        _EMULATED,
        "a kernel with sch_netem, and root; without it the project's own link relay stands in",
    ),
    "bpf": (_IN_KERNEL, "root or CAP_BPF, on a kernel with BTF (/sys/kernel/btf/vmlinux)"),
    "clang": (_IN_KERNEL, PROGRAMS["clang"].remedy),
    "bpftool": (_IN_KERNEL, PROGRAMS["bpftool"].remedy),
    "iperf3": (_EMULATED, PROGRAMS["iperf3"].remedy),
    "tvm": ((*_ON_CPU, "bolt/pruner"), "python3 -m experiments.setup venv --extras tuning"),
    "torch": (
        ("symbolicpcc/teacher", *_ON_CPU),
        "python3 -m experiments.setup venv --extras congestion",
    ),
    "vllm": (
        ("blendserve/vllm-*",),
        "make vllm (or TRIPTYCH_VLLM=FOLDER of an environment that has vLLM 0.32)",
    ),
    "nvcc": (_ON_GPU[:-2], f"{PROGRAMS['nvcc'].remedy} (or NVIDIA's own CUDA toolkit)"),
    "gpu": (_ON_GPU, "a machine with an NVIDIA GPU and its driver"),
    "julia": (("symbolicpcc/ablation-*",), PROGRAMS["julia"].remedy),
    "browser": (
        ("tests of the report",),
        f"apt-get install {PROGRAMS['chromium'].package} {PROGRAMS['chromedriver'].package}",
    ),
    "ns3": (("benchmark net/vs_ns3", "tests of sim/net"), PROGRAMS["ns3"].remedy),
    "cc": (_EMULATED, f"{PROGRAMS['gcc'].remedy}; without it the link relay runs in Python"),
    "realtime": (
        _EMULATED,
        "root or CAP_SYS_NICE; without it a busy machine delivers emulated packets late",
    ),
    "struct_ops": (_IN_KERNEL, "Linux 6.10 or newer with CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_JIT"),
    "cubic": ((*_EMULATED, "symbolicpcc/ack-cost"), "modprobe tcp_cubic, as root"),
    "bbr": ((*_EMULATED, "symbolicpcc/ack-cost"), "modprobe tcp_bbr, as root"),
    "reno": (_EMULATED, "every Linux has it; look at /proc/sys/net/ipv4"),
    "cutlass": (
        ("kernels for NVIDIA GPUs",),
        "python3 -m experiments.setup venv --extras cutlass (or TRIPTYCH_CUTLASS=CHECKOUT of 4.2)",
    ),
}


CAPABILITY_NAMES = tuple(_MEANING)
"""What a manifest may write under `needs`."""


def probe(name: str) -> Capability:
    """Look for one capability now; whatever goes wrong counts as a lack."""
    from experiments.doctor.probes import PROBES

    affects, fix = _MEANING[name]
    try:
        version = PROBES[name]()
    except Exception:
        version = None
    return Capability(name, version is not None, version or "", affects, fix)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _key() -> list[Any]:
    """What the answers hang on; installing something or changing user makes a new key."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    watched = [Path("/var/lib/dpkg/status"), ROOT / ".venv-vllm", *map(Path, sys.path)]
    path = os.environ.get("PATH", "")
    return [boot, os.geteuid(), path, sys.prefix, [_stamp(p) for p in watched if p.is_absolute()]]


def _cache_file() -> Path:
    return cache_root() / "doctor.json"


def _read_cache(key: list[Any]) -> list[Capability] | None:
    try:
        kept = json.loads(_cache_file().read_text(encoding="utf-8"))
        age_s = time.time() - kept["time"]
        if kept["key"] != key or not 0 <= age_s < CACHE_SECONDS:
            return None
        rows = [Capability(**row | {"affects": tuple(row["affects"])}) for row in kept["rows"]]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return rows if [row.name for row in rows] == list(CAPABILITY_NAMES) else None


def _write_cache(key: list[Any], rows: Iterable[Capability]) -> None:
    kept = {"key": key, "time": time.time(), "rows": [asdict(row) for row in rows]}
    path = _cache_file()
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(kept), encoding="utf-8")
        partial.replace(path)
    except OSError:
        pass  # a checkout that cannot be written to is probed each time


def capabilities(*, fresh: bool = False) -> list[Capability]:
    """Return every capability, in the order of the contract; never raises.

    Args:
        fresh: probe now rather than take an answer that is less than an hour old.
    """
    key = _key()
    kept = None if fresh else _read_cache(key)
    if kept is not None:
        return kept
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=len(CAPABILITY_NAMES)) as pool:
        rows = list(pool.map(probe, CAPABILITY_NAMES))
    _write_cache(key, rows)
    return rows


def capability(name: str) -> Capability:
    """Return one capability by name.

    Raises:
        KeyError: there is no capability of that name.
    """
    return {row.name: row for row in capabilities()}[name]
