"""A hardware entry: what a step costs on one machine, with how far it was off, as a JSON file.

`{"schema": 1, "name", "processor", "engine", "model", "dtype", "threads", "unit": "ns",
"terms": {name: ns}, "terms_without_sharing": {...}, "steps": n, "judged": [...],
"worst_error": share}`; the names of the terms are those of `serving.vllm.calibration.TERMS`.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from serving.vllm.calibration import TERMS, StepFit
from serving.vllm.judge import Calibration, Judgement
from sim.gpu.attention_grid import no_grid
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import StepCosts

LARGEST_BYTES = 1 << 20


def processor() -> str:
    """Return this machine's processor as it calls itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else "unknown"


def _terms(fit: StepFit) -> dict[str, float]:
    return dict(zip(TERMS, fit.coefficients_ns, strict=True))


def _judged(one: Judgement) -> dict[str, Any]:
    return {
        "pool": one.name,
        "predicted_s": one.predicted_s,
        "measured_s": list(one.measured_s),
        "error": one.error,
        "steps": one.steps,
    }


def entry_of(found: Calibration, name: str, model: str, dtype: str) -> dict[str, Any]:
    """Return the entry of a calibration, as it is written."""
    about = found.about
    return {
        "schema": 1,
        "name": name,
        "processor": processor(),
        "engine": f"vLLM {about['version']}, torch {about['torch']}",
        "model": model,
        "dtype": dtype,
        "threads": about["threads"],
        "unit": "ns",
        "terms": _terms(found.fit),
        "terms_without_sharing": _terms(found.plain),
        "steps": found.fit.steps,
        "judged": [_judged(one) for one in found.judged],
        "worst_error": found.worst_error,
    }


def write_entry(path: Path, entry: dict[str, Any]) -> None:
    """Write an entry whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(entry, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    beside.replace(path)


def read_terms(path: Path) -> dict[str, float]:
    """Return the coefficients without the term of shared KV, as the batch engine takes them.

    Raises:
        ValueError: the file is no such entry; the message names the field.
        OSError: it cannot be read.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{path}: no hardware entry is larger than {LARGEST_BYTES} bytes")
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(entry, dict) or entry.get("schema") != 1 or entry.get("unit") != "ns":
        raise ValueError(f"{path}: schema 1 and unit ns are needed; write it by triptych calibrate")
    terms = entry.get("terms_without_sharing")
    if not isinstance(terms, dict) or set(terms) != set(TERMS):
        raise ValueError(f"{path}: terms_without_sharing must hold {', '.join(TERMS)}")
    for name, value in terms.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value >= 0):
            raise ValueError(f"{path}: terms_without_sharing.{name} must be a number >= 0")
    return {name: float(terms[name]) for name in TERMS}


def costs_of_entry(terms: dict[str, float], max_batched_tokens: int) -> StepCosts:
    """Return step costs for the batch engine.

    Every token costs what one of a prompt does; what a decoding request costs beyond (or below)
    that is charged per sampled sequence, so a prompt's last chunk bears it too.
    """
    extra = terms["decode"] - terms["prefill_token"]
    return StepCosts(
        dense_ns=terms["prefill_token"] * np.arange(max_batched_tokens + 1.0),
        sampled_ns=extra * np.arange(max_batched_tokens + 1.0),
        pair_ns=terms["pair"],
        kv_token_ns=terms["kv_token"],
        attention=no_grid(),
        network_token_ns=0.0,
        fixed_ns=terms["step"],
        overlap_code=Sum.code,
        overlap_numbers=np.empty(0),
    )
