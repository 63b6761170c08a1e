"""A hardware entry: what a step costs on one machine, with how far it was off, as a JSON file.

`serving.vllm.entry_file` says what the file holds, and reads it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from serving.vllm.calibration import StepFit
from serving.vllm.entry_file import TERMS
from serving.vllm.judge import Calibration, Judgement
from sim.gpu.attention_grid import no_grid
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import StepCosts


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
