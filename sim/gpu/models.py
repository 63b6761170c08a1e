"""Shapes of language models: what decides their arithmetic and their KV cache.

Source: the models' published configurations. `kv_features` is the number of KV heads times the
head size, BlendServe's H_kv (its text says "per head"; only the product gives its numbers).
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.registry import UnknownNameError

BYTES_PER_VALUE = 2  # FP16 or BF16


@dataclass(frozen=True)
class LlmShape:
    """A dense decoder.

    Attributes:
        name: as a manifest writes it.
        parameters: weights of the model (P).
        layers: number of layers (L).
        hidden: hidden size (H).
        kv_features: KV heads x head size (H_kv).
    """

    name: str
    parameters: float
    layers: int
    hidden: int
    kv_features: int

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of K and V of one token over all layers."""
        return self.kv_features * self.layers * 2 * BYTES_PER_VALUE

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights."""
        return self.parameters * BYTES_PER_VALUE


_TABLE = (
    LlmShape("llama-3-8b", 8.03e9, 32, 4096, 1024),
    LlmShape("llama-3-70b", 70.6e9, 80, 8192, 1024),
    LlmShape("llama-2-7b", 6.74e9, 32, 4096, 4096),
    LlmShape("llama-2-70b", 69.0e9, 80, 8192, 1024),
    LlmShape("qwen-2.5-7b", 7.62e9, 28, 3584, 512),
    LlmShape("qwen-2.5-72b", 72.7e9, 80, 8192, 1024),
    LlmShape("deepseek-67b", 67.4e9, 95, 8192, 1024),
)
MODELS = {shape.name: shape for shape in _TABLE}


def model_named(name: str) -> LlmShape:
    """Return the model shape called `name`.

    Raises:
        UnknownNameError: the table has none of that name.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]
