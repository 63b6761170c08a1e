"""A decoder with random weights that computes whole batch steps over a paged KV cache.

Three ways, equal in what they compute:

- `sequential`: the whole batch, one kernel after the other on one stream, as vLLM does it.
- `split`: two nano-batches (`parts.halves`), one after the other on one stream: what cutting the
  batch costs, for the weights are read twice.
- `overlapped`: the same two; decode attention of either runs on a second stream, beside the other
  one's GEMMs and prefill attention. Nothing else overlaps: GEMMs never run beside GEMMs.
"""

from __future__ import annotations

from typing import Any

from .attention import chunk_attention, decode_attention, gathered
from .parts import Part
from .shapes import Model

MODES = ("sequential", "split", "overlapped")
EPSILON, ROPE_BASE = 1e-5, 500_000.0


class Decoder:
    """A model on a device.

    Args:
        torch: the module.
        model: its shape.
        pages: of the KV cache, `block` tokens each.
        block: see above.
        device: "cuda" or "cpu".
        dtype: of weights and KV cache.
        attention: of `attention.KINDS`, how decoding reads the KV cache.
        seed: of the weights.
    """

    def __init__(
        self,
        torch: Any,
        model: Model,
        pages: int,
        block: int,
        device: str,
        dtype: Any,
        attention: str = "triton",
        seed: int = 0,
    ) -> None:
        self.torch, self.model, self.device = torch, model, device
        self.decode = decode_attention(attention)
        generator = torch.Generator(device).manual_seed(seed)

        def normal(*shape: int) -> Any:
            made = torch.randn(*shape, generator=generator, device=device, dtype=dtype)
            return made.div_(shape[0] ** 0.5)

        self.weights = [[normal(a, b) for a, b in model.gemms()] for _ in range(model.layers)]
        self.embedding = normal(model.vocabulary, model.hidden).mul_(model.vocabulary**0.5)
        self.head = normal(model.hidden, model.vocabulary)
        shape = (model.layers, 2, pages, block, model.kv_heads, model.head)
        self.cache = torch.zeros(shape, device=device, dtype=dtype)
        half = torch.arange(0, model.head, 2, device=device, dtype=torch.float64) / model.head
        self.frequencies = ROPE_BASE**-half
        cuda = device == "cuda"
        self.memory_stream = torch.cuda.Stream(priority=-1) if cuda else None

    # -- operators ----------------------------------------------------------------------------

    def _normed(self, x: Any) -> Any:
        wide = x.float() if x.dtype == self.torch.bfloat16 else x
        return (wide * (wide.square().mean(-1, keepdim=True) + EPSILON).rsqrt()).to(x.dtype)

    def _rotation(self, part: Part) -> tuple[Any, Any]:
        angles = part.positions[:, None] * self.frequencies
        wide = self.cache.dtype
        return angles.cos()[:, None].to(wide), angles.sin()[:, None].to(wide)

    def _rotated(self, x: Any, rotation: tuple[Any, Any]) -> Any:
        cos, sin = rotation
        a, b = x.chunk(2, -1)
        return self.torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def _before(self, layer: int, part: Part, x: Any, rotation: tuple[Any, Any]) -> Any:
        """Compute Q, K and V of the part's rows, store K and V, and return Q."""
        m, rows = self.model, x.shape[0]
        mixed = (self._normed(x) @ self.weights[layer][0]).view(rows, -1, m.head)
        query, key, value = mixed.split((m.heads, m.kv_heads, m.kv_heads), 1)
        cache = self.cache[layer].view(2, -1, m.kv_heads, m.head)
        cache[0].index_copy_(0, part.slots, self._rotated(key, rotation))
        cache[1].index_copy_(0, part.slots, value.contiguous())
        return self._rotated(query, rotation)

    def _of_chunks(self, layer: int, part: Part, query: Any, out: Any) -> None:
        for first, rows, before, pages in part.chunks:
            key, value = gathered(self.torch, self.cache[layer], pages, before + rows)
            own = query[first : first + rows]
            out[first : first + rows] = chunk_attention(self.torch, own, key, value, before)

    def _of_decodes(self, layer: int, part: Part, query: Any, out: Any) -> None:
        if part.longest:
            where = (part.tables, part.lengths, part.longest)
            found = self.decode(self.torch, query[part.decodes :], self.cache[layer], *where)
            out[part.decodes :] = found

    def _after(self, layer: int, x: Any, attended: Any) -> Any:
        """Compute the output projection and the feed-forward part."""
        _, output, gate_up, down = self.weights[layer]
        x = x + attended.reshape(x.shape[0], -1) @ output
        gate, up = (self._normed(x) @ gate_up).chunk(2, -1)
        return x + (self.torch.nn.functional.silu(gate) * up) @ down

    # -- a step -------------------------------------------------------------------------------

    def step(self, parts: list[Part], overlapped: bool) -> list[Any]:
        """Queue one batch step; return float[sampled, vocabulary] of each part.

        Args:
            parts: the whole batch, or its nano-batches in order.
            overlapped: decode attention goes to the second stream, where there is one.
        """
        second = self.memory_stream if overlapped else None
        xs = [self.embedding[part.ids] for part in parts]
        rotations = [self._rotation(part) for part in parts]
        attended: list[Any] = [None] * len(parts)
        done: list[Any] = [None] * len(parts)
        for layer in range(self.model.layers):
            for i, part in enumerate(parts):
                if layer:
                    self._wait(done[i])
                    xs[i] = self._after(layer - 1, xs[i], attended[i])
                query = self._before(layer, part, xs[i], rotations[i])
                attended[i] = self.torch.empty_like(query)
                done[i] = self._queue_decodes(second, layer, part, query, attended[i])
                self._of_chunks(layer, part, query, attended[i])
        logits = []
        for i, part in enumerate(parts):
            self._wait(done[i])
            x = self._after(self.model.layers - 1, xs[i], attended[i])
            logits.append(self._normed(x[part.sampled]) @ self.head)
        return logits

    def _queue_decodes(self, second: Any, layer: int, part: Part, query: Any, out: Any) -> Any:
        """Queue decode attention; return the event after it, None on one stream."""
        if second is None:
            self._of_decodes(layer, part, query, out)
            return None
        second.wait_stream(self.torch.cuda.current_stream())
        with self.torch.cuda.stream(second):
            self._of_decodes(layer, part, query, out)
            for tensor in (query, out):
                tensor.record_stream(second)
            return second.record_event()

    def _wait(self, event: Any) -> None:
        if event is not None:
            self.torch.cuda.current_stream().wait_event(event)
