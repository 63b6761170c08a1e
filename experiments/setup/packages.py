"""The one table of external programs that the project calls, and their Debian packages.

A test compares it with every program that the sources, the Makefile and `.ci/run` call.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.setup import SetupError

PYTHON_FOLDERS = ("/usr/lib/python3/dist-packages", "/usr/local/lib/python3/dist-packages")
"""Where Debian keeps Python packages (Mininet's)."""

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps what only root has on its PATH (`tc`, `bpftool`)."""


@dataclass(frozen=True)
class Program:
    """One external program.

    Attributes:
        name: what is called.
        package: the Debian package that brings it, or None if Debian has none.
        purpose: what goes without it where it is missing.
        elsewhere: where to get it if Debian has no package.
        marker: of a library, which nobody calls: a glob of files that show it is there.
    """

    name: str
    package: str | None
    purpose: str
    elsewhere: str = ""
    marker: str = ""

    @property
    def present(self) -> bool:
        """Return whether this machine has it."""
        return bool(glob.glob(self.marker) if self.marker else find_program(self.name))

    @property
    def remedy(self) -> str:
        """How to get it, in a few words."""
        return f"apt-get install {self.package}" if self.package else self.elsewhere


_ROWS = [
    Program("apt-get", "apt", "installing what is missing, where this runs as root"),
    Program("bash", "bash", "the continuous-integration script"),
    Program(
        "bpf",
        "libbpf-dev",
        "congestion control inside the kernel",
        marker="/usr/include/bpf/bpf_helpers.h",
    ),
    Program("bpftool", "bpftool", "congestion control inside the kernel"),
    Program("chrt", "util-linux", "telling whether emulated links may have real-time priority"),
    Program("chromedriver", "chromium-driver", "tests of the report in a browser"),
    Program("chromium", "chromium", "tests of the report in a browser"),
    Program("clang", "clang", "congestion control inside the kernel"),
    Program("dirname", "coreutils", "the continuous-integration script"),
    Program("ethtool", "ethtool", "emulated networks (packets as they are on a wire)"),
    Program("g++", "g++", "tuning of kernels (compiling them), comparison with ns-3"),
    Program("gcc", "gcc", "emulated links at speed (compiling the relay)"),
    Program("git", "git", "the commit in the provenance of a run"),
    Program("ifconfig", "net-tools", "emulated networks (Mininet calls it)"),
    Program("ip", "iproute2", "emulated networks"),
    Program("iperf3", "iperf3", "emulated flows"),
    Program("julia", None, "symbolic regression by PySR", "install Julia 1.10 from julialang.org"),
    Program("libnuma", "libnuma1", "vLLM on a CPU", marker="/usr/lib/*/libnuma.so.1"),
    Program("make", "make", "the Makefile"),
    Program("mn", "mininet", "emulated networks"),
    Program("objdump", "binutils", "tests of compiled kernels"),
    Program("mount", "mount", "emulation in namespaces of its own"),
    Program(
        "ns3",
        "libns3-dev",
        "comparing the network simulator with ns-3",
        marker="/usr/include/ns3*/core-module.h",
    ),
    Program("nvcc", "nvidia-cuda-toolkit", "compiling CUTLASS templates"),
    Program("nvidia-smi", "nvidia-smi", "naming the GPU"),
    Program("ping", "iputils-ping", "measuring emulated links"),
    Program("pkg-config", "pkg-config", "comparing the network simulator with ns-3"),
    Program("python3", "python3", "everything"),
    Program("rm", "coreutils", "make clean"),
    Program("setpriv", "util-linux", "emulation that ends with the command that started it"),
    Program("tc", "iproute2", "emulated links"),
    Program("unshare", "util-linux", "emulation in namespaces of its own"),
]
PROGRAMS = {row.name: row for row in _ROWS}


def find_program(name: str) -> str | None:
    """Return the path of `name` on PATH or where Debian keeps root's programs, or None."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


def missing(names: Iterable[str]) -> list[Program]:
    """Return the rows of those of `names` that this machine lacks.

    Raises:
        SetupError: a name is not in the table.
    """
    names = list(names)
    if unknown := [name for name in names if name not in PROGRAMS]:
        raise SetupError(
            f"no such program in the table: {', '.join(unknown)} (known: {', '.join(PROGRAMS)})"
        )
    return [PROGRAMS[name] for name in names if not PROGRAMS[name].present]


def left_out(rows: Iterable[Program], why: str) -> str:
    """Return the one line that says what goes without `rows`, why, and the remedy."""
    rows = list(rows)
    names = ", ".join(row.name for row in rows)
    purposes = "; ".join(dict.fromkeys(row.purpose for row in rows))
    packages = list(dict.fromkeys(row.package for row in rows if row.package))
    remedies = [f"apt-get install {' '.join(packages)}"] if packages else []
    remedies += [row.elsewhere for row in rows if not row.package]
    return f"left out for lack of {names} ({why}): {purposes}. Remedy: {'; '.join(remedies)}"


def apt_install(packages: Iterable[str]) -> str | None:
    """Install Debian packages where that is possible; return why it was not, or None."""
    if os.geteuid() != 0:
        return "not root"
    if find_program("apt-get") is None:
        return "no apt-get here"
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    wanted = sorted(set(packages))
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return f"{' '.join(command[:2])} failed: {last}"
    return None


def ensure_programs(names: Iterable[str]) -> list[str]:
    """Install by apt those of `names` that are missing.

    Returns:
        Lines for the user: what was installed, and what is left out, why, and the remedy.
    """
    rows = missing(names)
    packaged = [row for row in rows if row.package]
    lines = []
    if packaged:
        why = apt_install(row.package for row in packaged if row.package)
        still = [row for row in packaged if not row.present]
        if came := [row.name for row in packaged if row not in still]:
            lines.append(f"installed {', '.join(came)}")
        if still:
            lines.append(left_out(still, why or "the package did not bring it"))
    if foreign := [row for row in rows if not row.package]:
        lines.append(left_out(foreign, "no Debian package"))
    return lines
