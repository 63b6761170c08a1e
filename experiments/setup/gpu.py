"""Whether this machine has an NVIDIA GPU that programs can use."""

from __future__ import annotations

from pathlib import Path

from experiments.setup.programs import ProgramError, run_program


def nvidia_gpus() -> list[str]:
    """Return the names of the usable NVIDIA GPUs; ["NVIDIA GPU"] if only a device file tells."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = run_program(query, timeout_s=5)
        names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    except ProgramError:
        names = []
    return names or (["NVIDIA GPU"] if Path("/dev/nvidia0").exists() else [])
