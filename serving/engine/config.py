"""What the batch engine is told besides the requests and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.gpu.step_cost import StepCosts


@dataclass(frozen=True)
class EngineConfig:
    """Limits of the engine and the costs of its steps.

    Attributes:
        costs: what a step costs, for steps up to `max_batched_tokens`.
        kv_blocks: KV blocks of `RequestPool.block_tokens` tokens each, >= 1.
        max_batched_tokens: tokens per step, >= 1.
        max_seqs: running requests at most, >= 1.
        kv_reserve: in [0, 1]. Above 0, an admission also requires that the sum over running
            requests of max(prompt + generated, prompt + kv_reserve x estimated output), the
            candidate included, fits the KV cache; 0.5 is the average footprint of BlendServe,
            1 the final one. 0 is vLLM's greedy admission.
        predict_peak: instead, the predicted peak of the batch must fit (`serving.engine.peak`).
        reserve_prompt: admit only if the blocks of the whole prompt are free, not just those of
            the first chunk (vLLM's `scheduler_reserve_full_isl`, from 0.19 on).
        prefix_caching: full blocks can be hit by requests that begin alike, or by the same one
            when it resumes.
        priority: vLLM's priority policy, a request's priority being its place in a one-ended
            plan (`serving.engine.reference_priority`). Only with vLLM's greedy admission.
        rules: vLLM V1's scheduling (`serving.engine.reference`), or SGLang's, which has its own
            admission and takes no `kv_reserve`, `predict_peak` or `reserve_prompt`.
        async_scheduling: a step is scheduled while the one before it runs, as vLLM can: what
            finishes in a step holds its seat and blocks during the next one, and what arrives is
            seen one step later. Only with vLLM's greedy admission.
        arrivals: requests come at the pool's `arrival_ns`; otherwise all are there at time 0.
    """

    costs: StepCosts
    kv_blocks: int
    max_batched_tokens: int = 2048
    max_seqs: int = 256
    kv_reserve: float = 0.0
    predict_peak: bool = False
    reserve_prompt: bool = False
    arrivals: bool = False
    async_scheduling: bool = False
    prefix_caching: bool = True
    priority: bool = False
    rules: Literal["vllm", "sglang"] = "vllm"

    def __post_init__(self) -> None:
        for name in ("kv_blocks", "max_batched_tokens", "max_seqs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.costs.dense_ns.size <= self.max_batched_tokens:
            raise ValueError(
                f"costs are known up to {self.costs.dense_ns.size - 1} tokens a step, not up to"
                f" max_batched_tokens = {self.max_batched_tokens}"
            )
        if not 0.0 <= self.kv_reserve <= 1.0:
            raise ValueError(f"kv_reserve must lie in [0, 1], got {self.kv_reserve}")
        if self.predict_peak and self.kv_reserve != 0.0:
            raise ValueError("kv_reserve and predict_peak are two rules; give one")
        own = self.predict_peak or self.kv_reserve > 0.0 or self.reserve_prompt
        if self.rules == "sglang" and own:
            raise ValueError("SGLang's rules have an admission of their own")
        greedy = self.kv_reserve == 0.0 and not self.predict_peak and self.rules == "vllm"
        if self.async_scheduling and not greedy:
            raise ValueError("async_scheduling is known with vLLM's greedy admission only")
        if self.priority and (not greedy or self.async_scheduling):
            raise ValueError("priority is known with vLLM's greedy admission only, and not async")
