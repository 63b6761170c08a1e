"""Write schedules for `on_gpu engine`: what the simulated batch engine does in every step.

    python -m serving.overlap.schedules --out schedules --orders shuffled prefix_dfs blendserve

makes one pool and, per order, `schedules/ORDER.jsonl` in the format of `on_gpu.schedule`. The pool
has two kinds of requests: long prompts with short outputs, which keep a GPU's arithmetic busy, and
short prompts with long outputs, which keep its memory busy. As in an offline job made of several
data sets, requests behind one prefix are of one kind.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policies.ordering.base import ORDERS, Plan
from policies.registry import UnknownNameError
from serving.density import ResourceModel
from serving.engine.config import EngineConfig
from serving.engine.problem import make_problem
from serving.engine.reference_state import Step
from serving.engine.run import as_adaptive
from serving.estimates import Estimate, oracle
from serving.overlap.on_gpu.schedule import FORMAT, VERSION
from serving.pool import PoolView, RequestPool, Workload
from serving.vllm.predicted import Traced
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import step_costs


@dataclass(frozen=True)
class PoolShape:
    """A pool in a few numbers; lengths are drawn evenly between two bounds, both included.

    Attributes:
        requests: their number.
        groups: prefixes that requests share.
        prefix: tokens of a prefix.
        long_share: share of the groups whose outputs are long.
        prompts: own tokens of a prompt: where outputs are short, and where they are long.
        outputs: the same of outputs.
    """

    requests: int = 1000
    groups: int = 5
    prefix: int = 128
    long_share: float = 0.4
    prompts: tuple[tuple[int, int], tuple[int, int]] = ((300, 900), (32, 128))
    outputs: tuple[tuple[int, int], tuple[int, int]] = ((4, 16), (200, 600))

    def __post_init__(self) -> None:
        if self.requests < 1 or self.groups < 1 or self.prefix < 0:
            raise ValueError("--requests and --groups must be at least 1, --prefix-tokens 0")
        if not 0.0 <= self.long_share <= 1.0:
            raise ValueError(f"--long-share must lie in [0, 1], got {self.long_share}")


def pool_of(shape: PoolShape, block_tokens: int, rng: np.random.Generator) -> Workload:
    """Return a pool of that shape, in random order."""
    heads = rng.integers(0, 1 << 30, (shape.groups, shape.prefix))
    long = np.arange(shape.groups) < round(shape.long_share * shape.groups)
    prompts, outputs = [], []
    for group in rng.integers(shape.groups, size=shape.requests):
        kind = int(long[group])
        own = rng.integers(0, 1 << 30, rng.integers(*shape.prompts[kind], endpoint=True))
        prompts.append(np.concatenate([heads[group], own]))
        outputs.append(int(rng.integers(*shape.outputs[kind], endpoint=True)))
    origin = f"generated: {shape.requests} requests behind {shape.groups} prefixes"
    return Workload.of(RequestPool.from_tokens(prompts, block_tokens), outputs, origin)


class Scheduled(Traced):
    """The reference engine, noting besides rows what each step took."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.parts_ns: list[tuple[int, int]] = []
        self.decoding: list[frozenset[int]] = []

    def _finish(self, step: Step) -> None:
        before = self.sums["compute_ns"], self.sums["memory_ns"]
        after_prefill = {
            r.index for r in self.running if r.scheduled and r.computed_before >= r.prefill_until
        }
        super()._finish(step)
        self.decoding.append(frozenset(after_prefill))
        self.parts_ns.append(
            (self.sums["compute_ns"] - before[0], self.sums["memory_ns"] - before[1])
        )


def scheduled(
    workload: Workload, estimate: Estimate, plan: Plan, config: EngineConfig
) -> Scheduled:
    """Run the plan, and return the engine with what it noted.

    Raises:
        OrderError: the plan misbehaves.
        ValueError: the configuration has other rules than vLLM's.
    """
    if config.rules != "vllm" or config.priority or config.async_scheduling:
        raise ValueError("schedules are written by vLLM's rules, without priority and not async")
    problem = make_problem(workload, estimate, config)
    capacity = config.kv_blocks * workload.pool.block_tokens
    engine = Scheduled(problem, config, as_adaptive(plan, problem.prompt, capacity))
    engine.run()
    return engine


def lines_of(workload: Workload, engine: Scheduled, order: str, model: str) -> Iterator[str]:
    """Yield a schedule's lines, in the format of `on_gpu.schedule`."""
    pool = workload.pool
    head = {"format": FORMAT, "version": VERSION, "order": order, "model": model}
    head["origin"] = workload.origin
    head |= {"block_tokens": pool.block_tokens, "kv_blocks": engine.config.kv_blocks}
    head["tokens"] = int(pool.prompt_tokens.sum() + workload.output_tokens.sum())
    yield json.dumps(head)
    for r in range(len(pool)):
        blocks = pool.block_ids[pool.block_offsets[r] : pool.block_offsets[r + 1]].tolist()
        sizes = {"prompt": int(pool.prompt_tokens[r]), "output": int(workload.output_tokens[r])}
        yield json.dumps(sizes | {"blocks": blocks})
    gone: tuple[int, ...] = ()
    noted = zip(engine.rows, engine.decoding, engine.parts_ns, strict=True)
    for row, decoding, (compute_ns, memory_ns) in noted:
        yield json.dumps(
            {
                "prefill": [work for work in row.scheduled if work[0] not in decoding],
                "decode": [(r, before + 1) for r, _, before in row.scheduled if r in decoding],
                "left": [*gone, *row.preempted],
                "compute_ns": compute_ns,
                "memory_ns": memory_ns,
            }
        )
        gone = row.finished


def write_schedule(
    path: Path, workload: Workload, engine: Scheduled, order: str, model: str = "llama-3-8b"
) -> None:
    """Write a schedule.

    Args:
        path: of the file.
        workload: the requests.
        engine: that ran them.
        order: its name.
        model: of the simulated times; what `on_gpu engine` runs unless it is told another.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines_of(workload, engine, order, model)) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    plain = PoolShape()
    made = argparse.ArgumentParser(
        "python -m serving.overlap.schedules",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--out", type=Path, required=True, help="folder")
    made.add_argument("--orders", nargs="+", default=["shuffled", "prefix_dfs", "blendserve"])
    made.add_argument("--requests", type=int, default=plain.requests)
    made.add_argument("--groups", type=int, default=plain.groups, help="prefixes that are shared")
    made.add_argument("--prefix-tokens", type=int, default=plain.prefix)
    made.add_argument("--long-share", type=float, default=plain.long_share, help="of the groups")
    made.add_argument("--kv-tokens", type=int, default=65_536, help="that the KV cache holds")
    made.add_argument("--block-tokens", type=int, default=16)
    made.add_argument("--max-batched-tokens", type=int, default=1024, help="per step")
    made.add_argument("--max-seqs", type=int, default=256, help="running requests at most")
    made.add_argument("--model", default="llama-2-7b", help="of densities and simulated times")
    made.add_argument("--gpu", default="h100", help="the same")
    made.add_argument("--seed", type=int, default=0)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Write the schedules; return the exit code."""
    args = parser().parse_args(words)
    try:
        shape = PoolShape(args.requests, args.groups, args.prefix_tokens, args.long_share)
        workload = pool_of(shape, args.block_tokens, np.random.default_rng([args.seed, 1]))
        gpu, model = gpu_named(args.gpu), model_named(args.model)
        costs = step_costs(gpu, model, Sum(), max_tokens=args.max_batched_tokens)
        blocks = args.kv_tokens // args.block_tokens
        limits = (blocks, args.max_batched_tokens, args.max_seqs)
        config = EngineConfig(costs, *limits, predict_peak=True)
        guess = oracle(workload)
        view = PoolView.of(
            workload.pool, guess.output_tokens, ResourceModel.of(gpu, model), args.kv_tokens
        )
        for name in dict.fromkeys(args.orders):
            plan = ORDERS.get(name)().plan(view, np.random.default_rng([args.seed, 2]))
            engine = scheduled(workload, guess, plan, config)
            write_schedule(args.out / f"{name}.jsonl", workload, engine, name, args.model)
            seconds = sum(map(sum, engine.parts_ns)) / 1e9
            told = f"{len(engine.rows)} steps, {seconds:.2f} s without overlap"
            print(f"{args.out / name}.jsonl: {told}")
    except (UnknownNameError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
