"""vLLM as an engine beside ours: a workload, a plan, a configuration -> what every step did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import OneEnded, Plan
from serving.engine.config import EngineConfig
from serving.engine.problem import is_permutation
from serving.engine.result import OrderError
from serving.engine.run import as_adaptive
from serving.estimates import Estimate
from serving.pool import Workload
from serving.vllm.answers import Answerer
from serving.vllm.entry_file import VALUE_BYTES
from serving.vllm.model import DummyModel
from serving.vllm.process import VllmProcess
from serving.vllm.rows import STEP_NS, Row

BLOCK_TOKENS = 32
"""What vLLM's attention on a CPU wants; any multiple will do."""
START_S, RUN_S = 240.0, 900.0


@dataclass(frozen=True)
class Sizes:
    """What an engine is started with; runs may have less of each.

    Attributes:
        model: the decoder.
        kv_blocks: KV blocks.
        max_batched_tokens: tokens per step.
        max_seqs: running requests.
        max_model_tokens: prompt and output tokens of a request.
        block_tokens: tokens per block.
        dtype: of weights and KV cache, "float32" or "bfloat16".
        memory_mib: what the process may allocate; 0 for no bound.
    """

    model: DummyModel
    kv_blocks: int = 512
    max_batched_tokens: int = 2048
    max_seqs: int = 64
    max_model_tokens: int = 4096
    block_tokens: int = BLOCK_TOKENS
    dtype: str = "float32"
    memory_mib: int = 0

    def message(self) -> dict[str, Any]:
        """Return what vLLM's process is told.

        Raises:
            ValueError: vLLM has no such type, or a request would not fit the KV cache.
        """
        if self.dtype not in VALUE_BYTES:
            raise ValueError(f"dtype must be one of {', '.join(VALUE_BYTES)}, got {self.dtype!r}")
        tokens = self.kv_blocks * self.block_tokens
        if self.max_model_tokens > tokens:
            raise ValueError(
                f"max_model_tokens = {self.max_model_tokens} exceeds the KV cache of {tokens}"
            )
        per_token = self.model.kv_bytes_per_token(VALUE_BYTES[self.dtype])
        plain = ("kv_blocks", "max_batched_tokens", "max_seqs", "max_model_tokens")
        plain += ("block_tokens", "dtype", "memory_mib")
        return {name: getattr(self, name) for name in plain} | {
            "model": self.model.config(self.max_model_tokens),
            "kv_bytes": (tokens + self.block_tokens) * per_token,
        }


@dataclass(frozen=True, eq=False)
class RealRun:
    """What vLLM did.

    Attributes:
        rows: one per step.
        wall_ns: int64[steps], wall time of each; 0 with async scheduling, where no model runs.
        cpu_ns: int64[steps], CPU time of vLLM's process in each; 0 likewise.
        peak_bytes: its resident memory at most, the start included.
    """

    rows: list[Row]
    wall_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64]
    peak_bytes: int


class VllmEngine:
    """A started vLLM; use as a context manager.

    Args:
        sizes: the engine's.
        python: see `VllmProcess`; `threads` likewise.
        threads: see above.

    Raises:
        VllmError: vLLM is absent, too old, or cannot start.
    """

    def __init__(self, sizes: Sizes, python: Path | None = None, threads: int = 1) -> None:
        message = sizes.message()
        self.sizes = sizes
        self.process = VllmProcess(python, threads)
        try:
            self.process.send({"start": message})
            self.about: dict[str, Any] = self.process.receive(START_S)["ready"]
        except BaseException:
            self.process.close()
            raise

    def __enter__(self) -> VllmEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def run(
        self,
        workload: Workload,
        prompts: list[list[int]],
        estimate: Estimate,
        plan: Plan,
        config: EngineConfig,
        timeout_s: float = RUN_S,
    ) -> RealRun:
        """Run the pool; afterwards the engine is ready for the next one, with an empty cache.

        Args:
            workload: requests and their true lengths; with `config.arrivals` they come at steps.
            prompts: their token ids.
            estimate: its `run_first` requests run before the plan.
            plan: a one-ended one is submitted in sequence, or with priorities, where that does the
                same; else vLLM asks for every candidate.
            config: limits; its costs play no part.
            timeout_s: seconds without a word after which vLLM's process is ended.

        Raises:
            ValueError: the run does not fit the engine that was started, or is not vLLM's.
            OrderError: the plan misbehaves.
            VllmError: vLLM died or took too long; a further run needs a new engine.
        """
        self._check(workload, config)
        message = _message(workload, prompts, estimate, plan, config)
        self.process.send({"run": message})
        capacity = config.kv_blocks * workload.pool.block_tokens
        adaptive = as_adaptive(plan, workload.pool.prompt_tokens, capacity)
        answerer = Answerer(adaptive, workload, estimate.run_first)
        try:
            while "done" not in (told := self.process.receive(timeout_s)):
                answer = answerer.answer(told["ask"], lambda r: self._cached(r, timeout_s))
                self.process.send({"next": answer})
        except BaseException:
            self.process.close()
            raise
        steps = told["done"]["steps"]
        return RealRun(
            [Row.of(step) for step in steps],
            np.array([step["wall_ns"] for step in steps], np.int64),
            np.array([step["cpu_ns"] for step in steps], np.int64),
            int(told["done"]["peak_bytes"]),
        )

    def _cached(self, request: int, timeout_s: float) -> int:
        self.process.send({"cached": int(request)})
        return int(self.process.receive(timeout_s)["tokens"])

    def _check(self, workload: Workload, config: EngineConfig) -> None:
        """Refuse what vLLM would not do, or what the engine that was started cannot hold."""
        for name in ("kv_blocks", "max_batched_tokens", "max_seqs"):
            if getattr(config, name) > (most := getattr(self.sizes, name)):
                raise ValueError(f"{name} = {getattr(config, name)}: the engine has {most}")
        if config.predict_peak or config.kv_reserve > 0 or config.rules != "vllm":
            raise ValueError("only vLLM's greedy admission can run here")
        if config.async_scheduling and (config.arrivals or config.priority):
            raise ValueError("async scheduling runs here without arrivals and priorities only")
        pool = workload.pool
        if pool.block_tokens != self.sizes.block_tokens:
            raise ValueError(f"the pool has blocks of {pool.block_tokens}, the engine others")
        longest = int((pool.prompt_tokens + workload.output_tokens).max(initial=1))
        most = min(self.sizes.max_model_tokens, config.kv_blocks * pool.block_tokens)
        if longest > most:
            raise ValueError(f"a request of {longest} tokens cannot fit: at most {most}")


def _is_static(estimate: Estimate, plan: Plan, arrival_ns: NDArray, priority: bool) -> bool:
    """Return whether vLLM keeps to the plan unasked: it takes equals first come, first served."""
    if not isinstance(plan, OneEnded) or estimate.run_first.size:
        return False
    return priority or bool((np.diff(arrival_ns[plan.sequence]) >= 0).all())


def _message(
    workload: Workload,
    prompts: list[list[int]],
    estimate: Estimate,
    plan: Plan,
    config: EngineConfig,
) -> dict[str, Any]:
    n = len(workload.pool)
    sequence = plan.sequence if isinstance(plan, OneEnded) else np.arange(n)
    if not is_permutation(sequence, n):
        raise OrderError("the plan's sequence is not a permutation of the requests")
    arrival_ns = workload.pool.arrival_ns if config.arrivals else np.zeros(n, np.int64)
    if (arrival_ns % STEP_NS).any():
        raise ValueError(f"arrivals must come at multiples of {STEP_NS} ns, at steps")
    static = _is_static(estimate, plan, arrival_ns, config.priority)
    if config.priority and not static:
        raise OrderError("priority: only a one-ended plan gives every request a place")
    if config.async_scheduling and not static:
        raise OrderError("async scheduling: only a one-ended plan without a sample can run here")
    return {
        "ahead": config.async_scheduling,
        "prompts": prompts,
        "outputs": workload.output_tokens.tolist(),
        "arrival_step": (arrival_ns // STEP_NS).tolist(),
        "priority": np.argsort(sequence).tolist() if config.priority else None,
        "submission": sequence.tolist(),
        "adaptive": not static,
        "kv_blocks": config.kv_blocks,
        "max_batched_tokens": config.max_batched_tokens,
        "max_seqs": config.max_seqs,
        "caching": config.prefix_caching,
        "reserve_prompt": config.reserve_prompt,
    }
