"""Reads the hardware entry that `triptych calibrate` wrote; loads nothing heavy.

`{"schema": 1, "name", "processor", "engine", "model", "dtype", "threads", "unit": "ns",
"terms": {name: ns}, "terms_without_sharing": {...}, "steps": n, "judged": [...],
"worst_error": share}`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TERMS = ("step", "prefill_token", "decode", "pair", "kv_token", "distinct_kv_token")
"""Names of the coefficients, ns each; `serving.vllm.calibration` says of what."""
LARGEST_BYTES = 1 << 20
VALUE_BYTES = {"float32": 4, "bfloat16": 2}
AGAIN = "triptych calibrate writes it anew"


@dataclass(frozen=True)
class HardwareEntry:
    """What a step costs on one machine.

    Attributes:
        name: of the entry.
        processor: as the machine calls it.
        engine: its versions.
        model: dummy decoder that was measured.
        dtype: of its weights and KV cache, a key of `VALUE_BYTES`.
        terms: ns per name in `TERMS`, without the term of shared KV.
        worst_error: largest |predicted / measured - 1| of the pools that judged it.
    """

    name: str
    processor: str
    engine: str
    model: str
    dtype: str
    terms: dict[str, float]
    worst_error: float

    def said(self) -> str:
        """Return one line for who reads results that hang on it."""
        error = f"off by up to {100 * self.worst_error:.1f} % of CPU time"
        return f"step costs calibrated on {self.processor} ({self.engine}, {self.model}): {error}"


def read_entry(path: Path) -> HardwareEntry:
    """Read a hardware entry.

    Raises:
        ValueError: the file is none; the message names the field and what to do.
        OSError: it cannot be read.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{path}: no hardware entry is larger than {LARGEST_BYTES} bytes")
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}; {AGAIN}") from None
    if not isinstance(entry, dict) or entry.get("schema") != 1 or entry.get("unit") != "ns":
        raise ValueError(f"{path}: schema 1 and unit ns are needed; {AGAIN}")
    words = ("name", "processor", "engine", "model", "dtype")
    for name in words:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"{path}: {name} must be a text; {AGAIN}")
    if entry["dtype"] not in VALUE_BYTES:
        raise ValueError(f"{path}: dtype must be one of {', '.join(VALUE_BYTES)}; {AGAIN}")
    if not _is_amount(entry.get("worst_error")):
        raise ValueError(f"{path}: worst_error must be a number >= 0; {AGAIN}")
    terms = _terms(path, entry.get("terms_without_sharing"))
    told = {name: entry[name] for name in words}
    return HardwareEntry(**told, terms=terms, worst_error=float(entry["worst_error"]))


def _terms(path: Path, terms: Any) -> dict[str, float]:
    if not isinstance(terms, dict) or set(terms) != set(TERMS):
        raise ValueError(f"{path}: terms_without_sharing must hold {', '.join(TERMS)}; {AGAIN}")
    for name, value in terms.items():
        if not _is_amount(value):
            told = f"terms_without_sharing.{name} must be a number >= 0, in ns"
            raise ValueError(f"{path}: {told}; {AGAIN}")
    if not any(terms.values()):
        raise ValueError(f"{path}: terms_without_sharing: steps that cost nothing; {AGAIN}")
    return {name: float(terms[name]) for name in TERMS}


def _is_amount(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0
