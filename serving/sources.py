"""Kinds of requests that mixes are made of, and how their lengths are drawn.

Means of prompt and output are those that BlendServe prints (Fig. 2, Table 4; ShareGPT's are
NanoFlow's, as BlendServe prints none). Prompt contents are random except for what is shared.
Lengths are log-normal, prompt and output independent, so a source of n requests has

    sum Comp / sum Mem = K (p + d) / (p d + d^2 (1 + c^2) / 2),   K = 800.8 tokens,

with means p and d, c the output's coefficient of variation, and K the time of computing a token
over that of reading one (Llama-3-8B on an A100 at data-sheet rates). The spread of prompts does
not enter. Solved for c at the printed density, before any factor (1 - s):

| source | p / d | printed | with c = 0 | c |
| --- | --- | --- | --- | --- |
| BurstGPT | 244 / 27 | 17.78 | 31.2 | 3.8 |
| Azure | 2508 / 23 | 33.2 | 35.0 | 3.4 |
| ShareGPT | 299 / 324 | 3.12 | 3.34 | 0.45 |
| WildChat | 496 / 510 | 2.13 | 2.105 | 0 |

WildChat's printed density is that of the means: any spread would lower it further, though
section 5.4 says that its outputs vary much. In mixes its mean output is 256 (section 6.2), with
which it is denser. MMLU's printed density has the factor (1 - s) and follows from its means.
OpenVid's .05 follows from no published mean; its c is 0.3, because lengths of 16K on average
must be nearly equal to give the 0.096 of Fig. 6. Each source has a system prompt of 8 tokens,
which is part of the published prompt length. That is 3 % of BurstGPT (printed 2 %), 1 % of
ShareGPT (2 %) and 0.3 % of Azure (1 %). WildChat's 19 % is a prefix of 192 tokens in each of 64
groups, MMLU's 86 % one of 695 in each of 57 (its subjects); groups are drawn uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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

    @property
    def prefix_tokens(self) -> int:
        """Tokens that a request shares with its group, the system prompt among them."""
        return SYSTEM_TOKENS + self.group_tokens


@dataclass(frozen=True, eq=False)
class RealLengths:
    """Prompt and output lengths of a real trace, to be drawn from in pairs.

    Attributes:
        name: of the trace.
        prompt: int64[k], tokens.
        output: int64[k], tokens.
    """

    name: str
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]


BURSTGPT = Source("burstgpt", 244, 1.0, 27, 3.8)
AZURE = Source("azure", 2508, 0.9, 23, 3.4)
SHAREGPT = Source("sharegpt", 299, 1.0, 324, 0.45)
WILDCHAT = Source("wildchat", 496, 1.0, 510, 0.0, groups=64, group_tokens=192 - SYSTEM_TOKENS)
MMLU = Source("mmlu", 804, 0.5, 2, 0.0, groups=57, group_tokens=695 - SYSTEM_TOKENS)
OPENVID_RAW = Source("openvid-raw", 121, 0.5, 43_726, 0.3, output_step=256, output_known=True)
OPENVID = replace(OPENVID_RAW, name="openvid", output_mean=16_000)

_ALL = (BURSTGPT, AZURE, SHAREGPT, WILDCHAT, MMLU, OPENVID, OPENVID_RAW)
SOURCES = {source.name: source for source in _ALL}
COMPUTE_SOURCES = {
    source.name: source
    for source in (BURSTGPT, AZURE, SHAREGPT, replace(WILDCHAT, output_mean=256))
}
"""What takes the compute-heavy part of a mix, with lengths as in the mixes."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Lengths and groups of n potential requests of one source."""

    source: Source
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    group: NDArray[np.int64]

    def shared_tokens(self, block_tokens: int) -> int:
        """Prompt tokens that a request of this source finds in a warm cache."""
        return self.source.prefix_tokens // block_tokens * block_tokens

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


def draw(source: Source | RealLengths, n: int, rng: np.random.Generator) -> Draws:
    """Draw n requests; of a real trace, pairs of lengths with replacement."""
    if isinstance(source, RealLengths):
        return _draw_real(source, n, rng)
    shared = source.prefix_tokens
    own = lognormal(rng, source.prompt_mean - shared, source.prompt_cv, n)
    output = lognormal(rng, source.output_mean, source.output_cv, n) / source.output_step
    return Draws(
        source,
        shared + np.maximum(1, np.rint(own)).astype(np.int64),
        np.maximum(1, np.rint(output)).astype(np.int64) * source.output_step,
        rng.integers(0, source.groups, n),
    )


def _draw_real(real: RealLengths, n: int, rng: np.random.Generator) -> Draws:
    """Draw pairs; the first tokens of a prompt are the system prompt, as for other sources."""
    chosen = rng.integers(0, real.prompt.size, n)
    prompt = np.maximum(real.prompt[chosen], SYSTEM_TOKENS + 1)
    output = real.output[chosen]
    source = Source(real.name, float(prompt.mean()), 0.0, float(output.mean()), 0.0)
    return Draws(source, prompt, output, np.zeros(n, np.int64))
