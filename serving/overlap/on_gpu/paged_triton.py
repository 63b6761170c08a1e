"""Decode attention over a paged KV cache in Triton: flash decoding, each K and V read once.

A program takes the query heads that share a KV head over `SPLIT` tokens of one request, so that a
few long requests fill the GPU too; the parts are put together by their log-sum-exps.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

SPLIT, TILE = 1024, 64


@triton.jit
def _part(
    query,
    cache,
    tables,
    lengths,
    out,
    sums,
    scale,
    width,
    splits,
    value_offset,
    HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    ROWS: tl.constexpr,
    SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    SPAN: tl.constexpr,
    STEP: tl.constexpr,
):
    request, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tokens = tl.load(lengths + request)
    first = split * SPAN
    rows = tl.arange(0, ROWS)
    place = tl.arange(0, SIZE)
    at = (request * HEADS + head) * GROUP + rows
    inside = rows < GROUP
    q = tl.load(query + at[:, None] * SIZE + place[None, :], mask=inside[:, None], other=0.0)
    largest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mean = tl.zeros([ROWS, SIZE], tl.float32)
    for start in range(first, tl.minimum(first + SPAN, tokens), STEP):
        token = start + tl.arange(0, STEP)
        there = token < tokens
        page = tl.load(tables + request * width + token // BLOCK, mask=there, other=0).to(tl.int64)
        offset = ((page * BLOCK + token % BLOCK) * HEADS + head) * SIZE
        where = offset[:, None] + place[None, :]
        k = tl.load(cache + where, mask=there[:, None], other=0.0)
        v = tl.load(cache + value_offset + where, mask=there[:, None], other=0.0)
        scores = tl.dot(q, tl.trans(k)) * scale
        scores = tl.where(there[None, :], scores, float("-inf"))
        higher = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp(scores - higher[:, None])
        shrink = tl.exp(largest - higher)
        total = total * shrink + tl.sum(weights, 1)
        mean = mean * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        largest = higher
    if first < tokens:
        to = at * splits + split
        target = out + to[:, None] * SIZE + place[None, :]
        tl.store(target, mean / total[:, None], mask=inside[:, None])
        tl.store(sums + to, largest + tl.log(total), mask=inside)


def decode_paged(
    torch: Any, query: Any, cache: Any, tables: Any, lengths: Any, longest: int
) -> Any:
    """Return decode attention; arguments as of `attention.decode_gathered`."""
    batch, heads, size = query.shape
    kv_heads, block = cache.shape[3], cache.shape[2]
    group, splits = heads // kv_heads, -(-longest // SPLIT)
    out = torch.zeros(batch, heads, splits, size, device=query.device, dtype=torch.float32)
    sums = torch.full((batch, heads, splits), float("-inf"), device=query.device)
    kernel: Any = _part
    kernel[(batch, kv_heads, splits)](
        query.contiguous(),
        cache,
        tables,
        lengths,
        out,
        sums,
        size**-0.5,
        tables.shape[1],
        splits,
        cache[0].numel(),
        HEADS=kv_heads,
        GROUP=group,
        ROWS=max(16, triton.next_power_of_2(group)),
        SIZE=size,
        BLOCK=block,
        SPAN=SPLIT,
        STEP=TILE,
    )
    weights = sums.softmax(-1)
    return (out * weights[..., None]).sum(2).to(query.dtype)
