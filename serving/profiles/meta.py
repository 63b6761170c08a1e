"""`meta.json` of a recorded vLLM run: what the engine resolved its options to.

Only runs of the kind that the batch engine models are read: one GPU, first come first served,
chunked prefill, prefix caching, no speculation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.traces.base import TraceError, count

MAX_BYTES = 10_000_000
_SCHEDULER = "resolved_config.scheduler_config"
_GRAPHS = "resolved_config.compilation_config.cudagraph_capture_sizes"

# Option -> the value that is modelled; an option that is not there has it.
MODELLED: dict[str, Any] = {
    "engine_kwargs.tensor_parallel_size": 1,
    "engine_kwargs.data_parallel_size": 1,
    "kv_cache.enable_prefix_caching": True,
    f"{_SCHEDULER}.enable_chunked_prefill": True,
    f"{_SCHEDULER}.policy": "fcfs",
    f"{_SCHEDULER}.long_prefill_token_threshold": 0,
    "resolved_config.speculative_config": None,
    "resolved_config.kv_transfer_config": None,
}


@dataclass(frozen=True)
class RecordedEngine:
    """How vLLM was set up.

    Attributes:
        model: the model's name on its hub.
        version: vLLM's.
        gpu: as the driver names it.
        kv_blocks: blocks of the KV cache.
        block_tokens: tokens per block.
        max_seqs: `max_num_seqs`.
        max_batched_tokens: `max_num_batched_tokens`.
        reserve_prompt: `scheduler_reserve_full_isl`.
        async_scheduling: whether a step is scheduled while the one before it runs.
        captured: sizes of captured CUDA graphs, () in eager mode.
        dataset_sha256: of the file of requests.
    """

    model: str
    version: str
    gpu: str
    kv_blocks: int
    block_tokens: int
    max_seqs: int
    max_batched_tokens: int
    reserve_prompt: bool
    async_scheduling: bool
    captured: tuple[int, ...]
    dataset_sha256: str


@dataclass(frozen=True)
class Meta:
    """The engine, and when the benchmark started, as text."""

    engine: RecordedEngine
    started_at: str


def read_meta(path: Path) -> Meta:
    """Read the file.

    Raises:
        TraceError: it is malformed, or names an option that is not modelled.
    """
    fields = _Fields(path, _load(path))
    for name, allowed in MODELLED.items():
        found = fields.get(name, allowed)
        if found != allowed:
            raise TraceError(path, None, name, f"{found!r} is not modelled; allowed is {allowed!r}")
    engine = RecordedEngine(
        model=fields.text("model"),
        version=fields.text("vllm_version"),
        gpu=fields.text("hardware.device_name"),
        kv_blocks=fields.whole("kv_cache.num_gpu_blocks"),
        block_tokens=fields.whole("kv_cache.block_size"),
        max_seqs=fields.whole("engine_kwargs.max_num_seqs"),
        max_batched_tokens=fields.whole("engine_kwargs.max_num_batched_tokens"),
        reserve_prompt=fields.get(f"{_SCHEDULER}.scheduler_reserve_full_isl", False) is True,
        async_scheduling=fields.get(f"{_SCHEDULER}.async_scheduling", False) is True,
        captured=fields.sizes(_GRAPHS),
        dataset_sha256=fields.text("dataset_hash"),
    )
    return Meta(engine, fields.text("started_at"))


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise TraceError(path, None, None, f"is not a file of at most {MAX_BYTES} bytes")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise TraceError(path, None, None, "is no JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise TraceError(path, None, None, "is no JSON object")
    return value


class _Fields:
    """Dotted names into a JSON object."""

    def __init__(self, path: Path, value: dict[str, Any]) -> None:
        self._path, self._value = path, value

    def get(self, name: str, absent: Any) -> Any:
        value: Any = self._value
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                return absent
            value = value[part]
        return value

    def text(self, name: str) -> str:
        value = self.get(name, None)
        if not isinstance(value, str) or not value:
            raise TraceError(self._path, None, name, "is missing or no text")
        return value

    def whole(self, name: str) -> int:
        value = self.get(name, None)
        if value is None:
            raise TraceError(self._path, None, name, "is missing")
        return count(self._path, 1, name, value)

    def sizes(self, name: str) -> tuple[int, ...]:
        value = self.get(name, ())
        if not isinstance(value, list | tuple):
            raise TraceError(self._path, None, name, "is no list of whole numbers")
        return tuple(count(self._path, 1, name, size) for size in value)
