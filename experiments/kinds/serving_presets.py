"""What an order that stands for a whole system changes of the configured engine.

`prefix_dfs` and `shuffled` run on the manifest's engine; `vllm_dfs`, `sglang_dfs`, `sglang_lpm`,
`nanoflow_dfs` and `nanoflow_balance` are such orders on the engine of the system that they are
named after. GPU, model, KV memory, rates and pool stay those of the manifest.

vllm: operators one after the other; vLLM V1's rules with greedy admission, and its defaults for
offline use on an A100 (`max_num_batched_tokens` 8192, `max_num_seqs` 256; its arg_utils.py).
BlendServe compared with v0.6.3, whose V0 scheduler chunks prompts only for contexts above 32K, in
steps of 512 tokens, and else runs whole prompts before decoding; that scheduler is not modelled.

sglang: operators one after the other; the rules of v0.3.4, which BlendServe compared with, and its
defaults: `chunked_prefill_size` 8192 and the seats of its memory rule, at most 4096 (with a context
of 128K it gives 2048, more than these pools fill). A client names `max_new_tokens`; benchmarks set
it to the true length, and so does this preset.

nanoflow: admission by predicted peak memory (NanoFlow, OSDI '25); overlap, tokens per step, their
quantum and seats are the manifest's, so that BlendServe's order meets the same engine.
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
        "reserve_prompt": False,
    },
    "sglang": {
        "rules": "sglang",
        "overlap": {"kind": "sum"},
        "kv_reserve": 0.0,
        "max_batched_tokens": 8192,
        "max_seqs": 4096,
        "token_quantum": 1,
        "reserve_prompt": False,
        "estimate": {"kind": "oracle"},
    },
    "nanoflow": {
        "rules": "vllm",
        "kv_reserve": "peak",
        "reserve_prompt": False,
    },
}


# paper: blendserve 6.1
def with_engine_of(config: ServingConfig, order: type) -> ServingConfig:
    """Return the configuration with the engine that the order stands for."""
    preset = getattr(order, "engine", None)
    if preset is None:
        return config
    return ServingConfig.model_validate({**config.model_dump(), **PRESETS[preset]})


def note_on_engine(order: type) -> list[str]:
    """Return what the order's engine replaces of the manifest's, for the reader of a run."""
    preset = getattr(order, "engine", None)
    if preset is None:
        return []
    fields_ = ", ".join(f"{name} {value}" for name, value in PRESETS[preset].items())
    return [f"{order.__name__} runs on the engine of {preset}: {fields_}"]


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
