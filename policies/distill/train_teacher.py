"""Train a teacher with several seeds, choose one on validation links, report it on test links.

    python -m policies.distill.train_teacher legacy --seeds 5

writes `policies/congestion/weights/teacher_legacy.{safetensors,json}`. Interrupted, it goes on
where it was.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.paths import cache_root
from policies.congestion.networks import FOLDER
from policies.distill.judge import Judged, judge
from policies.distill.teacher import Row, Trained, train
from policies.distill.teacher_config import PCC_RL_STEPS, PRESETS, TeacherConfig, preset
from policies.distill.weights import write_network

TEST_LINKS = 1000
MODULE = "policies.distill.train_teacher"
PACKAGES = ("numba", "numpy", "stable-baselines3", "torch")


def main(words: Sequence[str] | None = None) -> int:
    """Train, choose, write, and say what came out; return the exit code."""
    given = sys.argv[1:] if words is None else list(words)
    asked = _parser().parse_args(given)
    out = asked.out or FOLDER / f"teacher_{asked.variant}.safetensors"
    trained = []
    for seed in range(asked.seeds):
        config = preset(
            asked.variant, seed=seed, total_steps=asked.steps, validation_links=asked.links
        )
        folder = asked.work / f"{asked.variant}-{asked.steps}-seed{seed}"
        trained.append(train(config, folder, lambda row, seed=seed: say(f"seed {seed}", row)))
    chosen = max(trained, key=lambda one: one.best_row.score)
    judged = {
        one.config.seed: summary(judge(one.network, one.config.world, TEST_LINKS, "test"))
        for one in trained
    }
    command = shlex.join(["python", "-m", MODULE, *given])
    write_network(out, chosen.network, provenance(command, chosen, trained, judged))
    for one in trained:
        mark = " (chosen on validation links)" if one is chosen else ""
        print(f"seed {one.config.seed}{mark}: test {judged[one.config.seed]}")
    print(f"wrote {out}")
    return 0


def summary(judged: Judged) -> dict[str, Any]:
    """Return what is said of a policy: each statistic as value, low and high."""
    intervals = {
        "share_median": judged.share_median(),
        "share_ratio_of_means": judged.share_ratio(),
        "utilisation": judged.mean("utilisation"),
        "latency_inflation": judged.mean("inflation"),
        "loss": judged.mean("loss"),
    }
    rounded = {
        name: [round(value, 4) for value in asdict(interval).values()]
        for name, interval in intervals.items()
    }
    return {"links": len(judged.reward), **rounded}


def provenance(
    command: str, chosen: Trained, trained: Sequence[Trained], judged: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """Return what a file of weights tells of where they come from.

    Args:
        command: that made them.
        chosen: the training that they are of.
        trained: all trainings that it was chosen from.
        judged: seed -> `summary` on test links.
    """
    seeds = [
        {
            "seed": one.config.seed,
            "validation_share_median": one.best_row.validation_median,
            "validation_share_ratio_of_means": one.best_row.validation_ratio,
            "steps": one.best_steps,
            "test": judged[one.config.seed],
        }
        for one in trained
    ]
    training = {k: v for k, v in chosen.config.as_json().items() if k != "world"}
    return {
        "network": f"teacher on {chosen.config.world.environment}, by PPO",
        "command": command,
        "seed": chosen.config.seed,
        "chosen": "the seed and the step with the highest mean of both shares on validation links",
        "seeds": seeds,
        "training": training,
        "made_with": {name: version(name) for name in PACKAGES},
        "licence": "Apache-2.0",
    }


def say(whose: str, row: Row) -> None:
    """Print a row of the learning curve of a training."""
    learnt = "" if row.train_share is None else f", training {row.train_share:.3f}"
    print(
        f"{whose}, {row.steps:>9,} steps, {row.seconds:6.1f} s: share of the ideal on"
        f" validation links {row.validation_ratio:.3f}, median {row.validation_median:.3f},"
        f" utilisation {row.validation_utilisation:.3f}{learnt}, std {row.std:.2f}",
        flush=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("variant", choices=sorted(PRESETS), help="environment and links")
    parser.add_argument("--seeds", type=int, default=5, help="how many; 0, 1, ...")
    parser.add_argument("--steps", type=int, default=PCC_RL_STEPS, help="of each training")
    links = TeacherConfig.validation_links
    parser.add_argument("--links", type=int, default=links, help="validation links")
    parser.add_argument("--out", type=Path, help="file of the weights, *.safetensors")
    parser.add_argument(
        "--work", type=Path, default=cache_root() / "teacher", help="folder of the checkpoints"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
