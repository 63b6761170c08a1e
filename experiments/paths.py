"""Where things are; `TRIPTYCH_*` variables move the folders that we read and write."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = Path(os.environ.get("TRIPTYCH_MANIFESTS") or ROOT / "experiments/manifests").absolute()
FIGURES = ROOT / "experiments" / "figures"
RECORDED = ROOT / "experiments" / "recorded"
PACKAGES = ("sim", "emu", "policies", "serving", "tuning", "experiments")


def results_root() -> Path:
    """Return the folder of runs and tables (git-ignored)."""
    return Path(os.environ.get("TRIPTYCH_RESULTS") or ROOT / "results").absolute()


def build_root() -> Path:
    """Return the folder of figures, report and benchmarks (git-ignored)."""
    return Path(os.environ.get("TRIPTYCH_BUILD") or ROOT / "build").absolute()


def cache_root() -> Path:
    """Return the folder of what can be thrown away at any time."""
    return Path(os.environ.get("TRIPTYCH_CACHE") or ROOT / ".cache").absolute()


def data_root() -> Path:
    """Return the folder of external traces and measurements, which may be absent."""
    return Path(os.environ.get("TRIPTYCH_DATA") or ROOT / "data").absolute()
