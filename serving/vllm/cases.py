"""Random runs in which the simulator and vLLM must do the same in every step.

Pools of words over few pieces, so that prefixes form trees and whole prompts come twice; a KV
cache from one that holds the longest request and no more to one that holds everything; caching on
and off; all at once or staggered; submitted in order, by priority, or chosen by an order that
vLLM asks. Whatever one rule of scheduling decides, some of these runs hang on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.ordering.base import ORDERS, OneEnded, Plan
from serving.density import ResourceModel
from serving.engine.config import EngineConfig
from serving.estimates import Estimate, estimate
from serving.pool import PoolView, RequestPool, Workload
from serving.tree import build_tree
from serving.vllm.client import Sizes
from serving.vllm.model import DummyModel
from serving.vllm.predicted import equal_steps
from serving.vllm.rows import STEP_NS
from serving.vllm.tokens import FIRST_TOKEN
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named

VOCABULARY = 512
LONGEST_PROMPT, LONGEST_OUTPUT = 420, 70
TIGHTNESS = ("tight", "snug", "loose")
ADMISSION = ("fcfs", "priority", "asked")
RESOURCES = ResourceModel.of(gpu_named("a100-80"), model_named("llama-3-8b"))


@dataclass(frozen=True, eq=False)
class Case:
    """One run: what both engines are given."""

    workload: Workload
    prompts: list[list[int]]
    guess: Estimate
    plan: Plan
    config: EngineConfig


def sizes_for_cases(model: DummyModel) -> Sizes:
    """Return an engine that every random case fits."""
    longest = LONGEST_PROMPT + LONGEST_OUTPUT
    return Sizes(model, 512, max_batched_tokens=512, max_seqs=16, max_model_tokens=longest)


def _prompt(pieces: list[np.ndarray], earlier: list[np.ndarray], rng: np.random.Generator):
    """Return an earlier prompt again, one cut short, or pieces and a tail of its own."""
    kind = rng.random()
    if earlier and kind < 0.15:
        return earlier[rng.integers(len(earlier))]
    if earlier and kind < 0.3:
        whole = earlier[rng.integers(len(earlier))]
        return whole[: rng.integers(1, whole.size + 1)]
    chosen = [pieces[rng.integers(len(pieces))] for _ in range(rng.integers(0, 4))]
    own = rng.integers(FIRST_TOKEN, VOCABULARY, rng.integers(1, 120))
    return np.concatenate([*chosen, own])[:LONGEST_PROMPT]


def _workload(rng: np.random.Generator, block_tokens: int, staggered: bool):
    n = int(rng.integers(4, 40))
    pieces = [rng.integers(FIRST_TOKEN, VOCABULARY, rng.integers(8, 120)) for _ in range(4)]
    longest = int(rng.choice([50, LONGEST_PROMPT]))
    prompts: list[np.ndarray] = []
    while len(prompts) < n:
        prompts.append(_prompt(pieces, prompts, rng)[:longest])
    arrival = np.zeros(n, np.int64)
    if staggered:
        arrival = STEP_NS * rng.integers(0, int(rng.choice([n, 4 * n])), n)
    output = rng.integers(1, rng.choice([4, 20, LONGEST_OUTPUT + 1]), n)
    pool = RequestPool.from_tokens(prompts, block_tokens, arrival)
    return Workload.of(pool, output, "random words"), [p.tolist() for p in prompts]


def _kv_blocks(workload: Workload, tightness: str, rng: np.random.Generator) -> int:
    size = workload.pool.block_tokens
    blocks = -(-(workload.pool.prompt_tokens + workload.output_tokens) // size)
    longest = int(blocks.max())
    if tightness == "tight":
        return longest + int(rng.integers(0, 3))
    if tightness == "snug":
        return longest + int(rng.integers(2, 20))
    return min(512, int(blocks.sum()) + 1)


def _plan(
    workload: Workload, guess: Estimate, admission: str, capacity: int, rng: np.random.Generator
) -> Plan:
    n = len(workload.pool)
    if admission == "priority":
        return OneEnded(rng.permutation(n))
    if admission == "fcfs":
        submitted = rng.permutation(n)
        late = np.argsort(workload.pool.arrival_ns[submitted], kind="stable")
        return OneEnded(submitted[late])
    name = str(rng.choice(["blendserve", "prefix_dfs", "longest_first"]))
    view = PoolView.of(workload.pool, guess.output_tokens, RESOURCES, capacity)
    return ORDERS.get(name)().plan(view, rng)


def random_case(
    rng: np.random.Generator,
    *,
    tightness: str,
    admission: str,
    caching: bool,
    staggered: bool,
    block_tokens: int = 32,
) -> Case:
    """Return a random run.

    Args:
        rng: its only source of chance.
        tightness: of `TIGHTNESS`: what the KV cache holds.
        admission: of `ADMISSION`: how the plan reaches vLLM.
        caching: prefixes can be hit.
        staggered: requests come at different steps.
        block_tokens: tokens per KV block.

    Raises:
        ValueError: a word is not one of those.
    """
    for word, allowed in ((tightness, TIGHTNESS), (admission, ADMISSION)):
        if word not in allowed:
            raise ValueError(f"{word!r} is not one of {', '.join(allowed)}")
    workload, prompts = _workload(rng, block_tokens, staggered)
    config = EngineConfig(
        equal_steps(512),
        _kv_blocks(workload, tightness, rng),
        max_batched_tokens=int(rng.integers(8, rng.choice([16, 64, 512]))),
        max_seqs=int(rng.choice(np.array([int(rng.integers(1, 17)), 16]))),
        reserve_prompt=bool(rng.random() < 0.5),
        arrivals=staggered,
        prefix_caching=caching,
        priority=admission == "priority",
    )
    sampled = admission == "asked" and not staggered and rng.random() < 0.5
    kind = "sample" if sampled else "oracle"
    guess = estimate(workload, build_tree(workload.pool), kind, 0.2, rng)
    capacity = config.kv_blocks * block_tokens
    plan = _plan(workload, guess, admission, capacity, rng)
    return Case(workload, prompts, guess, plan, config)
