"""Synthetic pools with a wanted density and sharing: a compute-heavy source, MMLU, OpenVid.

After BlendServe section 6.2 and appendix A.3: each source gets a system prompt of its own; the
ratio of the compute-heavy source (BurstGPT in the paper's main mixes) to OpenVid sets the
density, MMLU the sharing. `serving.sources` says how lengths are drawn. Sharing means the share
of T_comp saved, density (1 - s) T_comp / T_mem for Llama-3-8B on an A100 at data-sheet rates,
both as in section 3.3.

OpenVid is about 1 request in 600 and carries some 93 % of T_mem. In a small pool that would be a
handful, and the result an accident of their places. Where fewer than `min_videos` come out,
video outputs are therefore shortened until the same memory time takes that many; nothing else
changes, and the result says by how much.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from serving.density import ResourceModel
from serving.pool import RequestPool, Workload
from serving.sources import (
    BURSTGPT,
    MMLU,
    OPENVID,
    SYSTEM_TOKENS,
    Draws,
    RealLengths,
    Source,
    draw,
)
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named


# paper: blendserve 6.2
def _counts(
    draws: list[Draws],
    n: int,
    density: float,
    sharing: float,
    block_tokens: int,
    resources: ResourceModel,
) -> NDArray[np.int64]:
    """Solve for the number of requests per source, with the means of what will be taken."""
    counts = np.full(len(draws), n // len(draws))
    for _ in range(20):
        tokens, shared, read = np.transpose(
            [part.means(int(c), block_tokens) for part, c in zip(draws, counts, strict=True)]
        )
        # The first request of a group computes what the others share.
        stored = sum(part.shared_tokens(block_tokens) * part.source.groups for part in draws)
        compute = (1 - sharing) * resources.compute_s_per_token * tokens
        balance = compute - density * resources.memory_s_per_kv_token * read
        system = np.array([np.ones(len(draws)), shared - sharing * tokens, balance / balance.max()])
        solved = np.linalg.solve(system, [n, stored, 0.0])
        if solved.min() < -0.002 * n:
            raise ValueError(
                f"no mix of {n} requests has density {density} and sharing {sharing}"
                f" with blocks of {block_tokens} tokens: it would need"
                f" {_listed(solved, draws)}{_own_sharing(draws[0], block_tokens, sharing)}"
            )
        counts = np.maximum(0, np.rint(solved)).astype(np.int64)
        counts[0] = max(0, counts[0] + n - counts.sum())
    return counts


def _listed(counts: NDArray[np.generic], draws: list[Draws]) -> str:
    return ", ".join(f"{c:.0f} {d.source.name}" for c, d in zip(counts, draws, strict=True))


def _own_sharing(compute: Draws, block_tokens: int, wanted: float) -> str:
    """Say so if the compute-heavy source alone shares more than is wanted."""
    tokens, shared, _ = compute.means(compute.prompt.size, block_tokens)
    own = shared / tokens
    return f"; {compute.source.name} alone shares {own:.2f}" if own > wanted else ""


# paper: blendserve 6.2
def blend(
    density: float,
    sharing: float,
    requests: int,
    block_tokens: int,
    rng: np.random.Generator,
    min_videos: int = 40,
    compute: Source | RealLengths = BURSTGPT,
    model: str = "llama-3-8b",
) -> Workload:
    """Return a shuffled mix with the wanted density and sharing.

    Args:
        density: (1 - s) T_comp / T_mem, > 0.
        sharing: s, share of T_comp saved by maximal prefix sharing, in [0, 1).
        requests: pool size, >= 3.
        block_tokens: tokens per KV block; what is shared counts in whole blocks.
        rng: source of all chance.
        min_videos: at least so many OpenVid requests, by shortening them if need be.
        compute: the compute-heavy source.
        model: density is meant for it, on A100s at data-sheet rates.

    Raises:
        ValueError: the target cannot be reached, such as less sharing than the compute-heavy
            source has itself; the message says what would be needed.
    """
    first = [draw(source, requests, rng) for source in (compute, MMLU)]
    seed = int(rng.integers(1 << 62))
    resources = ResourceModel.of(gpu_named("a100-80"), model_named(model))
    video, draws, counts = OPENVID, first, np.zeros(2, np.int64)
    for _ in range(12):
        step = min(OPENVID.output_step, max(1, int(video.output_mean / 16)))
        video = replace(video, output_step=step)
        draws = [*first, draw(video, requests, np.random.Generator(np.random.PCG64(seed)))]
        counts = _counts(draws, requests, density, sharing, block_tokens, resources)
        wanted = min(min_videos, requests // 20)
        if counts[2] >= wanted:
            break
        factor = 0.98 * np.sqrt(max(counts[2], 1) / wanted)
        video = replace(video, output_mean=max(1.0, video.output_mean * factor))
    lengths = f" (lengths of the trace {compute.name})" if isinstance(compute, RealLengths) else ""
    published = f"published {OPENVID.output_mean:.0f}"
    origin = (
        f"generated: {_listed(counts, draws)}"
        f" (mean video output {video.output_mean:.0f} tokens, {published}){lengths}"
    )
    return _assemble(draws, counts, block_tokens, origin, rng)


def alone(
    source: Source | RealLengths, requests: int, block_tokens: int, rng: np.random.Generator
) -> Workload:
    """Return a pool of one source."""
    draws = draw(source, requests, rng)
    origin = f"generated: {requests} {draws.source.name}"
    return _assemble([draws], np.array([requests]), block_tokens, origin, rng)


def _assemble(
    draws: list[Draws],
    counts: NDArray[np.int64],
    block_tokens: int,
    origin: str,
    rng: np.random.Generator,
) -> Workload:
    """Concatenate the sources, shuffle, and give each block its identity."""
    parts = list(zip(draws, counts, strict=True))
    prompt = np.concatenate([part.prompt[:c] for part, c in parts])
    output = np.concatenate([part.output[:c] for part, c in parts])
    group = np.concatenate([part.group[:c] + 1000 * i for i, (part, c) in enumerate(parts)])
    depth = np.concatenate(
        [np.full(c, part.shared_tokens(block_tokens) // block_tokens) for part, c in parts]
    )
    known = np.concatenate([np.full(c, part.source.output_known) for part, c in parts])
    mixed = rng.permutation(prompt.size)
    hashes = shared_prefix_hashes(prompt[mixed], group[mixed], depth[mixed], block_tokens)
    pool = RequestPool.from_hashes(prompt[mixed], hashes, block_tokens)
    return Workload.of(pool, output[mixed], origin, known[mixed])


def shared_prefix_hashes(
    prompt: NDArray[np.int64],
    group: NDArray[np.int64],
    depth: NDArray[np.int64],
    block_tokens: int,
) -> NDArray[np.int64]:
    """Return hashes of full blocks: the first `depth` of a request are those of its group.

    Groups whose numbers agree in the thousands share their first block, the system prompt.
    """
    blocks = prompt // block_tokens
    starts = np.repeat(np.cumsum(blocks) - blocks, blocks)
    place = np.arange(blocks.sum()) - starts
    owner = np.repeat(group, blocks)
    owner = np.where((place + 1) * block_tokens <= SYSTEM_TOKENS, owner // 1000 * 1000, owner)
    shared = -1 - (owner * 65_536 + place)
    return np.where(place < np.repeat(depth, blocks), shared, np.arange(blocks.sum()))
