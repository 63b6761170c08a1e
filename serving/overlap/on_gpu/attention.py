"""Attention over a paged KV cache: chunks of prompts, and decoding.

`gather` is plain PyTorch and copies the KV cache of each request before it reads it; `triton`
(which comes with PyTorch for CUDA) reads every K and V once, where it lies.
"""

from __future__ import annotations

from typing import Any

KINDS = ("triton", "gather")


def gathered(torch: Any, cache: Any, pages: Any, tokens: int) -> tuple[Any, Any]:
    """Return K and V of a request as [kv heads, tokens, d].

    Args:
        torch: the module.
        cache: [2, pages, block, kv heads, d].
        pages: int64[...], the request's.
        tokens: that are wanted.
    """
    _, _, block, heads, size = cache.shape
    found = cache[:, pages].reshape(2, len(pages) * block, heads, size)[:, :tokens]
    key, value = found.transpose(1, 2)
    return key, value


def chunk_attention(torch: Any, query: Any, key: Any, value: Any, before: int) -> Any:
    """Return causal attention of a chunk: [tokens, heads, d] over [kv heads, before + tokens, d].

    Query i sees `before` + i + 1 keys.
    """
    tokens, heads, _ = query.shape
    options: dict[str, Any] = {"is_causal": True}
    if before:
        from torch.nn.attention.bias import causal_lower_right

        options = {"attn_mask": causal_lower_right(tokens, before + tokens)}
    group = heads // key.shape[0]
    key, value = (part.repeat_interleave(group, 0)[None] for part in (key, value))
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(query.transpose(0, 1)[None], key, value, **options)[0].transpose(0, 1)


def decode_gathered(
    torch: Any, query: Any, cache: Any, tables: Any, lengths: Any, longest: int
) -> Any:
    """Return decode attention, one request after the other.

    Args:
        torch: the module.
        query: [b, heads, d].
        cache: [2, pages, block, kv heads, d].
        tables: int32[b, most pages].
        lengths: int32[b], tokens that each request reads.
        longest: the largest of them.
    """
    kv_heads, block = cache.shape[3], cache.shape[2]
    out = torch.empty_like(query)
    attend = torch.nn.functional.scaled_dot_product_attention
    for row, tokens in enumerate(lengths.tolist()):
        pages = tables[row, : -(-tokens // block)].long()
        key, value = gathered(torch, cache, pages, tokens)
        grouped = query[row].view(1, kv_heads, -1, query.shape[-1])
        out[row] = attend(grouped, key[None], value[None]).view(query.shape[1:])
    return out


def decode_attention(kind: str) -> Any:
    """Return the function that does decode attention, with `decode_gathered`'s arguments.

    Raises:
        ValueError: there is no such kind.
        ImportError: Triton is not installed.
    """
    if kind not in KINDS:
        raise ValueError(f"--attention {kind}: one of {', '.join(KINDS)}")
    if kind == "gather":
        return decode_gathered
    from .paged_triton import decode_paged

    return decode_paged


def check_decode(torch: Any, kind: str, device: str, dtype: Any) -> float:
    """Return the largest error of decode attention against float64, over the largest value.

    Raises:
        RuntimeError: it exceeds what rounding explains.
    """
    made = torch.Generator().manual_seed(3)
    kv_heads, group, size, block, pages = 2, 4, 64, 16, 160
    cache = torch.randn(2, pages, block, kv_heads, size, generator=made).to(device, dtype)
    lengths = torch.tensor([1, 16, 17, 700, 33], dtype=torch.int32)
    width = -(-700 // block)
    tables = torch.stack([torch.randperm(pages, generator=made)[:width] for _ in lengths])
    query = torch.randn(len(lengths), kv_heads * group, size, generator=made).to(device, dtype)
    where = (tables.to(device, torch.int32), lengths.to(device), 700)
    found = decode_attention(kind)(torch, query, cache, *where)
    true = decode_gathered(torch, query.double(), cache.double(), *where)
    worst = float((found.double() - true).abs().max() / true.abs().max())
    bound = 1e-4 if dtype in (torch.float32, torch.float64) else 3e-2
    if not worst < bound:
        raise RuntimeError(f"attention {kind} is off by {worst:.2g} of the largest value")
    return worst
