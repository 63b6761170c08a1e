"""Small decoders with dummy weights, as vLLM's config.json describes them.

What a weight holds plays no part in scheduling, hits and times, so none is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.registry import UnknownNameError


@dataclass(frozen=True)
class DummyModel:
    """A Llama of this shape.

    Attributes:
        name: as a manifest writes it.
        hidden: hidden size.
        layers: number of layers.
        heads: query heads; their size, hidden / heads, must be a multiple of 32.
        kv_heads: KV heads.
        intermediate: size of the feed-forward part.
        vocabulary: token ids.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int

    def config(self, max_tokens: int) -> dict[str, Any]:
        """Return the configuration of a model that reads up to `max_tokens`."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": max_tokens,
            "rms_norm_eps": 1e-5,
            "hidden_act": "silu",
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
        }

    def kv_bytes_per_token(self, value_bytes: int) -> int:
        """Return the bytes of K and V of one token over all layers."""
        return 2 * self.layers * self.kv_heads * self.hidden // self.heads * value_bytes


_TABLE = (
    DummyModel("tiny", 64, 1, 2, 1, 128, 512),
    DummyModel("small", 512, 4, 8, 4, 1408, 4096),
)
DUMMIES = {model.name: model for model in _TABLE}


def dummy_named(name: str) -> DummyModel:
    """Return the model called `name`.

    Raises:
        UnknownNameError: the table has none of that name.
    """
    if name not in DUMMIES:
        raise UnknownNameError("dummy model", name, DUMMIES)
    return DUMMIES[name]
