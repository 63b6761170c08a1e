"""Decoders as their published configurations describe them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

VALUE_BYTES = 2  # BF16


@dataclass(frozen=True)
class Model:
    """A Llama-like decoder.

    Attributes:
        hidden: hidden size.
        heads: query heads; `kv_heads`: KV heads.
        kv_heads: see above.
        head: size of a head.
        intermediate: size of the feed-forward part.
        layers: number of layers.
        vocabulary: token ids.
    """

    hidden: int
    heads: int
    kv_heads: int
    head: int
    intermediate: int
    layers: int
    vocabulary: int

    @property
    def group(self) -> int:
        """Query heads per KV head."""
        return self.heads // self.kv_heads

    def gemms(self) -> list[tuple[int, int]]:
        """Return (inputs, outputs) of a layer's GEMMs: QKV, output, gate and up, down."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        return [
            (self.hidden, queries + 2 * keys),
            (queries, self.hidden),
            (self.hidden, 2 * self.intermediate),
            (self.intermediate, self.hidden),
        ]

    @property
    def kv_bytes(self) -> int:
        """Bytes of K and V of one token in one layer."""
        return 2 * self.kv_heads * self.head * VALUE_BYTES


MODELS = {
    "llama-3-8b": Model(4096, 32, 8, 128, 14336, 32, 128256),
    "qwen-2.5-7b": Model(3584, 28, 4, 128, 18944, 28, 152064),
    "llama-2-7b": Model(4096, 32, 32, 128, 11008, 32, 32000),
    "llama-3-70b": Model(8192, 64, 8, 128, 28672, 80, 128256),
    "tiny": Model(64, 4, 2, 16, 128, 2, 512),
}


def model_of(name: str, layers: int | None = None) -> Model:
    """Return the model of that name, or of the `config.json` at that path.

    Args:
        name: a name in `MODELS`, or a path.
        layers: as many of its layers; all if None.

    Raises:
        ValueError: there is no such model, or the file does not describe one.
        OSError: the file cannot be read.
    """
    found = MODELS.get(name)
    if found is None:
        if not Path(name).exists():
            raise ValueError(f"--model {name}: no file, and none of {', '.join(MODELS)}")
        found = _from_config(Path(name))
    if layers is not None and layers < 1:
        raise ValueError(f"--layers must be at least 1, got {layers}")
    return found if layers is None else replace(found, layers=layers)


def _from_config(path: Path) -> Model:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        heads = int(told["num_attention_heads"])
        found = Model(
            int(told["hidden_size"]),
            heads,
            int(told.get("num_key_value_heads") or heads),
            int(told.get("head_dim") or int(told["hidden_size"]) // heads),
            int(told["intermediate_size"]),
            int(told["num_hidden_layers"]),
            int(told["vocab_size"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: no config.json of a Llama-like model: {error!r}") from None
    if min(vars(found).values()) < 1 or found.heads % found.kv_heads or found.head % 2:
        raise ValueError(f"{path}: sizes must be positive, heads a multiple of KV heads, even")
    return found
