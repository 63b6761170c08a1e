"""Where things are. `TRIPTYCH_RESULTS` and `TRIPTYCH_BUILD` move the two folders that we write."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "experiments" / "manifests"
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
