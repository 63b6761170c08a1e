"""Synthetic pools with a wanted density and sharing: BurstGPT + MMLU + OpenVid.

After BlendServe section 6.2 and appendix A.3: each source gets a system prompt of its own; the
ratio of BurstGPT to OpenVid sets the density, MMLU the sharing. The texts are not at hand, so
lengths are drawn from log-normal distributions with the published means; prompt contents are
random except for what is shared. Our choices, where the paper is silent: the coefficients of
variation (BurstGPT's output 3.8, which gives its printed density 17.8; OpenVid's 0.3, because
its printed density is that of nearly equal lengths), system prompts of 8 tokens that are part of
the published prompt length (BurstGPT then shares 3 %, printed 2 %), and MMLU's 57 subjects drawn
uniformly. Sharing means the share of T_comp saved, density (1 - s) T_comp / T_mem for
Llama-3-8B on an A100 at data-sheet rates, both as in section 3.3.

OpenVid is about 1 request in 600 and carries some 93 % of T_mem. In a small pool that would be a
handful, and the result an accident of their places. Where fewer than `min_videos` come out,
video outputs are therefore shortened until the same memory time takes that many; nothing else
changes, and the result says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serving.density import ResourceModel
from serving.pool import RequestPool, Workload
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named

SYSTEM_TOKENS = 8


@dataclass(frozen=True)
class Source:
    """One kind of request.

    Attributes:
        name: as in the paper.
        prompt_mean: mean prompt tokens, shared ones included; `prompt_cv` varies the rest.
        prompt_cv: coefficient of variation of the unshared part.
        output_mean: mean output tokens; `output_cv` likewise.
        output_cv: see above.
        groups: number of groups that share a prefix beyond the system prompt; 1 for none.
        group_tokens: tokens of that prefix.
        output_step: outputs are multiples of it (256 tokens per video frame).
        output_known: whether output lengths are known beforehand.
    """

    name: str
    prompt_mean: float
    prompt_cv: float
    output_mean: float
    output_cv: float
    groups: int = 1
    group_tokens: int = 0
    output_step: int = 1
    output_known: bool = False


BURSTGPT = Source("burstgpt", 244, 1.0, 27, 3.8)
MMLU = Source("mmlu", 804, 0.5, 2, 0.0, groups=57, group_tokens=695 - SYSTEM_TOKENS)
OPENVID = Source("openvid", 121, 0.5, 16_000, 0.3, output_step=256, output_known=True)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Lengths and groups of n potential requests of one source."""

    source: Source
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    group: NDArray[np.int64]

    def shared_tokens(self, block_tokens: int) -> int:
        """Prompt tokens that a request of this source finds in a warm cache."""
        full = (SYSTEM_TOKENS + self.source.group_tokens) // block_tokens
        return full * block_tokens

    def means(self, count: int, block_tokens: int) -> NDArray[np.float64]:
        """Return float64[3]: tokens, shared tokens, and KV tokens read, per request."""
        count = max(1, min(count, self.prompt.size))
        p, d = self.prompt[:count].astype(float), self.output[:count].astype(float)
        read = p * d + 0.5 * d * d
        return np.array([(p + d).mean(), self.shared_tokens(block_tokens), read.mean()])


def lognormal(rng: np.random.Generator, mean: float, cv: float, n: int) -> NDArray[np.float64]:
    """Draw n log-normal values with that mean and coefficient of variation."""
    sigma2 = np.log1p(cv * cv)
    return rng.lognormal(np.log(mean) - 0.5 * sigma2, np.sqrt(sigma2), n)


def _draw(source: Source, n: int, rng: np.random.Generator) -> _Draws:
    shared = SYSTEM_TOKENS + source.group_tokens
    own = lognormal(rng, source.prompt_mean - shared, source.prompt_cv, n)
    output = lognormal(rng, source.output_mean, source.output_cv, n) / source.output_step
    return _Draws(
        source,
        shared + np.maximum(1, np.rint(own)).astype(np.int64),
        np.maximum(1, np.rint(output)).astype(np.int64) * source.output_step,
        rng.integers(0, source.groups, n),
    )


def _counts(
    draws: list[_Draws], n: int, density: float, sharing: float, block_tokens: int
) -> NDArray[np.int64]:
    """Solve for the number of requests per source, with the means of what will be taken."""
    resources = ResourceModel.of(gpu_named("a100-80"), model_named("llama-3-8b"))
    counts = np.full(len(draws), n // len(draws))
    for _ in range(20):
        tokens, shared, read = np.transpose(
            [draw.means(int(c), block_tokens) for draw, c in zip(draws, counts, strict=True)]
        )
        # The first request of a group computes what the others share.
        stored = sum(draw.shared_tokens(block_tokens) * draw.source.groups for draw in draws)
        compute = (1 - sharing) * resources.compute_s_per_token * tokens
        balance = compute - density * resources.memory_s_per_kv_token * read
        system = np.array([np.ones(len(draws)), shared - sharing * tokens, balance / balance.max()])
        solved = np.linalg.solve(system, [n, stored, 0.0])
        if solved.min() < -0.002 * n:
            raise ValueError(
                f"no mix of {n} requests has density {density} and sharing {sharing}"
                f" with blocks of {block_tokens} tokens (it would need"
                f" {_listed(solved, draws)})"
            )
        counts = np.maximum(0, np.rint(solved)).astype(np.int64)
        counts[0] += n - counts.sum()
    return counts


def _listed(counts: NDArray[np.generic], draws: list[_Draws]) -> str:
    return ", ".join(f"{c:.0f} {d.source.name}" for c, d in zip(counts, draws, strict=True))


def blend(
    density: float,
    sharing: float,
    requests: int,
    block_tokens: int,
    rng: np.random.Generator,
    min_videos: int = 40,
) -> Workload:
    """Return a shuffled mix with the wanted density and sharing.

    Args:
        density: (1 - s) T_comp / T_mem, > 0.
        sharing: s, share of T_comp saved by maximal prefix sharing, in [0, 1).
        requests: pool size, >= 3.
        block_tokens: tokens per KV block; what is shared counts in whole blocks.
        rng: source of all chance.
        min_videos: at least so many OpenVid requests, by shortening them if need be.

    Raises:
        ValueError: the target cannot be reached.
    """
    first = [_draw(source, requests, rng) for source in (BURSTGPT, MMLU)]
    seed = int(rng.integers(1 << 62))
    video, draws, counts = OPENVID, first, np.zeros(2, np.int64)
    for _ in range(12):
        step = min(OPENVID.output_step, max(1, int(video.output_mean / 16)))
        video = replace(video, output_step=step)
        draws = [*first, _draw(video, requests, np.random.Generator(np.random.PCG64(seed)))]
        counts = _counts(draws, requests, density, sharing, block_tokens)
        if counts[2] >= min(min_videos, requests // 20):
            break
        factor = 0.98 * np.sqrt(max(counts[2], 1) / min_videos)
        video = replace(video, output_mean=max(1.0, video.output_mean * factor))
    origin = (
        f"generated: {_listed(counts, draws)}"
        f" (mean video output {video.output_mean:.0f} tokens, published {OPENVID.output_mean:.0f})"
    )
    return _assemble(draws, counts, block_tokens, origin, rng)


def _assemble(
    draws: list[_Draws],
    counts: NDArray[np.int64],
    block_tokens: int,
    origin: str,
    rng: np.random.Generator,
) -> Workload:
    """Concatenate the sources, shuffle, and give each block its identity."""
    parts = list(zip(draws, counts, strict=True))
    prompt = np.concatenate([draw.prompt[:c] for draw, c in parts])
    output = np.concatenate([draw.output[:c] for draw, c in parts])
    group = np.concatenate([draw.group[:c] + 1000 * i for i, (draw, c) in enumerate(parts)])
    depth = np.concatenate(
        [np.full(c, draw.shared_tokens(block_tokens) // block_tokens) for draw, c in parts]
    )
    known = np.concatenate([np.full(c, draw.source.output_known) for draw, c in parts])
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
