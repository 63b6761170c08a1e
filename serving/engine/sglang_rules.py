"""SGLang's scheduling rules as numbers, shared by both engines.

After SGLang v0.3.4 and its `global_config.py`. A step is either prefill or decode: while waiting
requests fit, prompts are computed (chunked to the token budget) and nobody decodes; else every
running request decodes one token. A request fits if its uncached prompt and its outputs to come,
4096 at most, stay below the free memory less a share of the outputs that running requests have
still to come; the share (`new_token_ratio`) begins at 0.7 and falls to 0.098 within 600 decode
steps. When decode finds too few blocks, requests with the fewest output tokens (then the longest
prompts) are retracted until 20 tokens per remaining request are free; they go to the end of the
queue, and the share is set to what the remaining ones have used of their outputs.

Deviations: expected outputs are the estimates (SGLang uses `max_new_tokens`, which benchmarks set
to the true length); retracted requests come after all new ones; blocks instead of single tokens;
a retracted request may find its own blocks in the cache again.
"""

from __future__ import annotations

import numba

MICRO = 1_000_000
START_RATIO = 700_000
LEAST_RATIO = 98_000
DECAY = (START_RATIO - LEAST_RATIO) // 600
CLIP_TOKENS = 4096
RETRACT_STEPS = 20


@numba.njit(cache=True)
def still_to_come(target: int, known: int) -> int:
    """Return the output tokens that a request is counted with, 1 to `CLIP_TOKENS`."""
    return min(CLIP_TOKENS, max(1, target - known))


@numba.njit(cache=True)
def decayed(ratio: int) -> int:
    """Return the ratio, in millionths, after a decode step without retraction."""
    return max(LEAST_RATIO, ratio - DECAY)


@numba.njit(cache=True)
def ratio_after_retraction(generated: int, requests: int, expected: int) -> int:
    """Return the ratio from what the remaining requests have given and are expected to give."""
    return min(MICRO, (generated + RETRACT_STEPS * requests) * MICRO // max(1, expected))
