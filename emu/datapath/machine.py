"""Whether this machine can build and load a datapath; what is lacking, in one line."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from emu.datapath.problems import DatapathError
from experiments.setup.packages import find_program

BTF = Path("/sys/kernel/btf/vmlinux")
HEADERS = Path("/usr/include/bpf/bpf_helpers.h")
AVAILABLE = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
LEAST_KERNEL = (6, 10)
"""`cong_control` has had its present arguments since Linux 6.10."""
_PACKAGES = "apt-get install clang bpftool libbpf-dev"


def check_build(release: str | None = None) -> None:
    """Check that a program can be compiled for the running kernel; `release` for tests.

    Raises:
        DatapathError: it cannot; the message says what is lacking and what to do.
    """
    release = release or platform.release()
    found = re.match(r"(\d+)\.(\d+)", release)
    if platform.system() != "Linux" or found is None:
        raise DatapathError(f"the datapath runs in Linux; this is {platform.system()} {release}")
    if (int(found[1]), int(found[2])) < LEAST_KERNEL:
        raise DatapathError(f"Linux {release} is older than 6.10, which the datapath needs")
    if not BTF.exists():
        raise DatapathError(f"no {BTF}: it needs a kernel built with CONFIG_DEBUG_INFO_BTF")
    for name in ("clang", "bpftool"):
        if find_program(name) is None:
            raise DatapathError(f"{name} not found: {_PACKAGES}")
    if not HEADERS.exists():
        raise DatapathError(f"no {HEADERS}: {_PACKAGES}")


def check_load() -> None:
    """Check that a program can be loaded by this process.

    Raises:
        DatapathError: it cannot.
    """
    if os.geteuid() != 0:
        raise DatapathError("loading into the kernel needs root: call it as root")


def available() -> list[str]:
    """Return the names of congestion controls that sockets may ask for here."""
    return AVAILABLE.read_text(encoding="ascii").split()
