"""A GPU's kernel profile in the format of LLMServingSim 2.0 (ISPASS '26).

A folder with `dense.csv` (layer, tokens, time_us), `per_sequence.csv` (layer, sequences,
time_us), `attention.csv` (`serving.profiles.grid`) and `meta.yaml`, the last also one level up.
The profiler runs vLLM with a model of one layer, in eager mode, and times each kernel alone. So
kernels of a layer count once per layer of the model, embedding, LM head and sampler once a step,
and what lies between kernels (launches, the CPU's scheduling) is in no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.profiles.curves import Curve, picked, read_curves
from serving.profiles.files import files_of
from serving.profiles.grid import read_grid
from serving.traces.base import TraceError
from sim.gpu.attention_grid import AttentionGrid
from sim.gpu.dense import padded
from sim.gpu.overlap import Overlap
from sim.gpu.step_cost import StepCosts

MAX_META_BYTES = 1_000_000

# Kernels of one layer of a Llama, and how often each runs in it.
PER_LAYER = {
    "layernorm": 2,
    "qkv_proj": 1,
    "rotary_emb": 1,
    "o_proj": 1,
    "gate_up_proj": 1,
    "act_fn": 1,
    "down_proj": 1,
}
PER_STEP = {"embedding": 1, "final_layernorm": 1}
PER_SEQUENCE = {"lm_head": 1, "sampler": 1}


@dataclass(frozen=True, eq=False)
class KernelProfile:
    """Measured kernels of one model on one GPU.

    Attributes:
        gpu: as the profiler names it.
        model: the model's name on its hub.
        dense: kernels by tokens of the step, each once.
        per_sequence: kernels by sampled sequences.
        attention: one layer's.
    """

    gpu: str
    model: str
    dense: dict[str, Curve]
    per_sequence: dict[str, Curve]
    attention: AttentionGrid

    def step_costs(
        self, layers: int, overlap: Overlap, max_tokens: int, captured: tuple[int, ...] = ()
    ) -> StepCosts:
        """Return the costs of a model of `layers` such layers, for steps up to `max_tokens`.

        Args:
            layers: of the whole model.
            overlap: of dense operators and decode attention.
            max_tokens: tokens of a step at most.
            captured: sizes of captured CUDA graphs; a smaller step is padded to the next one.

        Raises:
            ValueError: the profile does not go as far as `max_tokens`.
        """
        per_token = sum(
            weight * curve.table(max_tokens)
            for weight, curve in [
                *((layers * n, self.dense[name]) for name, n in PER_LAYER.items()),
                *((n, self.dense[name]) for name, n in PER_STEP.items()),
            ]
        )
        last = min(curve.last for curve in self.per_sequence.values())
        sampled = sum(curve.table(last) for curve in self.per_sequence.values())
        return StepCosts(
            dense_ns=np.asarray(per_token)[padded(max_tokens, captured)],
            sampled_ns=np.asarray(sampled),
            pair_ns=0.0,
            kv_token_ns=0.0,
            attention=self.attention._replace(ns=self.attention.ns * layers),
            network_token_ns=0.0,
            fixed_ns=0.0,
            overlap_code=overlap.code,
            overlap_numbers=np.array(overlap.numbers, np.float64),
        )


def read_profile(folder: Path) -> KernelProfile:
    """Read the folder.

    Raises:
        TraceError: a file is absent or malformed, or the profile is of another kind of model.
    """
    dense, per_sequence, attention, meta_path = files_of("kernels", folder)
    meta = _read_meta(meta_path)
    _check(meta_path, meta)
    return KernelProfile(
        gpu=str(meta["gpu"]),
        model=str(meta["model"]),
        dense=picked(dense, read_curves(dense, "tokens"), {**PER_LAYER, **PER_STEP}),
        per_sequence=picked(per_sequence, read_curves(per_sequence, "sequences"), PER_SEQUENCE),
        attention=read_grid(attention),
    )


def _read_meta(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file() or path.stat().st_size > MAX_META_BYTES:
        raise TraceError(path, None, None, f"is not a file of at most {MAX_META_BYTES} bytes")
    try:
        meta = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, ValueError, RecursionError):
        raise TraceError(path, None, None, "is no YAML in UTF-8") from None
    if not isinstance(meta, dict):
        raise TraceError(path, None, None, "is no YAML mapping")
    return meta


def _check(path: Path, meta: dict[str, Any]) -> None:
    missing = [name for name in ("gpu", "model", "architecture") if name not in meta]
    if missing:
        raise TraceError(path, None, missing[0], "is missing")
    if meta["architecture"] != "llama":
        message = f"{meta['architecture']!r} is not known; allowed is 'llama'"
        raise TraceError(path, None, "architecture", message)
    engine = meta.get("engine_effective")
    overrides = engine.get("hf_overrides") if isinstance(engine, dict) else None
    layers = overrides.get("num_hidden_layers", 1) if isinstance(overrides, dict) else 1
    if layers != 1:
        message = f"is {layers!r}; a profile is of a model of 1 layer"
        raise TraceError(path, None, "num_hidden_layers", message)
