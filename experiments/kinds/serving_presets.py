"""What an order that stands for a whole system changes of the configured engine.

`NanoFlow-DFS` is depth-first order on the configured engine; `vLLM-DFS` and `SGLang-DFS` are the
same order on engines that run compute- and memory-bound operators one after the other and admit
by their own rules. GPU, model, KV memory, rates and pool stay those of the manifest.

vLLM's limits are its defaults for offline use on an A100 (`max_num_batched_tokens` 8192,
`max_num_seqs` 256; vllm/engine/arg_utils.py). SGLang's are `chunked_prefill_size` 8192 and the
seats that its own memory rule leaves, 4096 at most (v0.3.4).
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from experiments.kinds.serving_config import ServingConfig

PRESETS: dict[str, dict[str, Any]] = {
    "vllm": {
        "rules": "vllm",
        "overlap": {"kind": "sum"},
        "kv_reserve": 0.0,
        "max_batched_tokens": 8192,
        "max_seqs": 256,
        "token_quantum": 1,
    },
    "sglang": {
        "rules": "sglang",
        "overlap": {"kind": "sum"},
        "kv_reserve": 0.0,
        "max_batched_tokens": 8192,
        "max_seqs": 4096,
        "token_quantum": 1,
    },
}


def with_engine_of(config: ServingConfig, order: type) -> ServingConfig:
    """Return the configuration with the engine that the order stands for."""
    preset = getattr(order, "engine", None)
    if preset is None:
        return config
    return ServingConfig.model_validate({**config.model_dump(), **PRESETS[preset]})


def constructed(order: type, given: dict[str, float | str | bool]) -> Any:
    """Return an instance of the order with the given parameters.

    Raises:
        ValueError: it has no such parameter, or the value is of another type than the default.
    """
    kind = getattr(order, "Parameters", None)
    if kind is None and given:
        raise ValueError(f"parameters: order {order.__name__} takes none")
    if kind is None:
        return order()
    defaults = asdict(kind())
    for name, value in given.items():
        if name not in defaults:
            allowed = ", ".join(field.name for field in fields(kind))
            raise ValueError(f"parameters: {name!r} is unknown; allowed are {allowed}")
        if isinstance(value, bool) != isinstance(defaults[name], bool) or isinstance(
            value, str
        ) != isinstance(defaults[name], str):
            noun = type(defaults[name]).__name__
            raise ValueError(f"parameters: {name} must be a {noun}, got {value!r}")
    return order(kind(**given))
