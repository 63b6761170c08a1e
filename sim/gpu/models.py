"""Shapes of language models: what decides their arithmetic and their KV cache.

Source: the models' published configurations. `kv_features` is the number of KV heads times the
head size, BlendServe's H_kv (its text says "per head"; only the product gives its numbers).
Attention variants differ in what a token leaves in the cache: MHA as many KV heads as query
heads, GQA fewer, MQA one, and MLA (DeepSeek-V2) one compressed vector that serves as K and V.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from policies.registry import UnknownNameError

BYTES_PER_VALUE = 2  # FP16 or BF16


@dataclass(frozen=True)
class LlmShape:
    """A decoder, dense or a mixture of experts.

    Attributes:
        name: as a manifest writes it.
        parameters: weights of the model (P), all of which are kept in memory.
        layers: number of layers (L).
        hidden: hidden size (H).
        kv_features: KV heads x head size (H_kv); for MLA the compressed rank plus RoPE's part.
        kv_heads: heads that those are divided into, each of which stays whole on a GPU.
        kv_shared: K and V are one vector (MLA).
        active_parameters: weights that a token meets, where those are fewer (experts), else None.
        attention_features: mean of the features of a query and of a value over all heads, where
            it is not the hidden size, else None.
        value_bytes: bytes of a weight, of a KV entry and of an activation: 2 for FP16, 1 for FP8.
    """

    name: str
    parameters: float
    layers: int
    hidden: int
    kv_features: int
    kv_heads: int
    kv_shared: bool = False
    active_parameters: float | None = None
    attention_features: int | None = None
    value_bytes: int = BYTES_PER_VALUE

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of K and V of one token over all layers."""
        return self.kv_features * self.layers * (1 if self.kv_shared else 2) * self.value_bytes

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights."""
        return self.parameters * self.value_bytes

    @property
    def flops_per_token(self) -> float:
        """Operations of the dense layers per token: twice the weights that it meets."""
        return 2.0 * (self.active_parameters or self.parameters)

    @property
    def flops_per_pair(self) -> float:
        """Operations of attention per query-key pair, over all layers: Q K and A V."""
        return 4.0 * (self.attention_features or self.hidden) * self.layers

    def kv_copies(self, gpus: int) -> int:
        """Return how often `gpus` tensor-parallel GPUs store a token's KV.

        A KV head cannot be divided: with more GPUs than heads each is kept more than once, and
        MLA's single vector on every GPU.
        """
        return max(1, -(-gpus // self.kv_heads))

    def with_value_bytes(self, value_bytes: int) -> LlmShape:
        """Return the same model with values of so many bytes."""
        return replace(self, value_bytes=value_bytes)


# DeepSeek-V2-Lite: 16 heads of 128 + 64 (query) and 128 (value); rank 512 + 64 is stored. Its
# 64 experts hold most of 15.7e9 weights, of which a token meets 2.4e9.
_TABLE = (
    LlmShape("llama-3-8b", 8.03e9, 32, 4096, 1024, 8),
    LlmShape("llama-3-70b", 70.6e9, 80, 8192, 1024, 8),
    LlmShape("llama-2-7b", 6.74e9, 32, 4096, 4096, 32),
    LlmShape("llama-2-70b", 69.0e9, 80, 8192, 1024, 8),
    LlmShape("qwen-2.5-7b", 7.62e9, 28, 3584, 512, 4),
    LlmShape("qwen-2.5-72b", 72.7e9, 80, 8192, 1024, 8),
    LlmShape("deepseek-67b", 67.4e9, 95, 8192, 1024, 8),
    LlmShape("deepseek-v2-lite", 15.7e9, 27, 2048, 576, 1, True, 2.4e9, 2560),
    # The decoders with dummy weights that `triptych calibrate` measures (serving.vllm.model).
    LlmShape("dummy-tiny", 102_400, 1, 64, 32, 1),
    LlmShape("dummy-small", 15.99e6, 4, 512, 256, 4),
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
