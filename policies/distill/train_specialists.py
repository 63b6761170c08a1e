"""Divide links into contexts by a teacher's return, and train a specialist in each.

The teacher runs one episode on each of many links. A regression tree from the conditions of those
links to the teacher's share of the ideal divides them into contexts: boxes of bandwidth, delay,
queue and random loss. In each, networks of several seeds are trained by PPO on its links alone, as
`policies.distill.train_teacher` trains the teacher. They go on from the teacher, so that none is
worse than it on the validation links by which seed and step are chosen. What is reported comes from
test links that nothing was chosen by, with the teacher's own shares on the same links beside it.

Interrupted, it goes on where it was; what is done already is read from the work folder.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.paths import cache_root
from policies.congestion.networks import FOLDER
from policies.distill.contexts import CONDITIONS, LEAST_SHARE, Context, find_contexts, label
from policies.distill.judge import Judged, judge, summary
from policies.distill.specialists import CONTEXTS, name_of, specialised, write_specialists
from policies.distill.storage import digest_of
from policies.distill.teacher import Trained, train
from policies.distill.teacher_config import PCC_RL_STEPS, TeacherConfig, corrected
from policies.distill.train_teacher import provenance, say
from policies.distill.weights import Network, read_network
from sim.net.problems import whole

MODULE = "policies.distill.train_specialists"
TEACHER = FOLDER / "teacher_corrected.safetensors"
FOUND_SPLIT, FOUND_SEED = "train", 1
"""Links that contexts are found on: none that the teacher was chosen by or is reported on."""
TEST_LINKS, TEST_SEED = 1000, 1
"""Of each context; the stream of seed 0 has the teacher's test links."""
EXAMPLES = f"""
examples:
  python -m {MODULE}
      four contexts, one training of {PCC_RL_STEPS:,} steps each, into the folder of the weights
  python -m {MODULE} --contexts 2 --by loss_probability --seeds 3
      two contexts that differ in random loss alone; the best of three seeds in each
  python -m {MODULE} --from-nothing
      specialists that owe the teacher nothing
  python -m {MODULE} --steps 200000 --find-links 200 --links 50 --out build/try
      a try of a few minutes that leaves the shipped weights alone
"""


def main(words: Sequence[str] | None = None) -> int:
    """Find contexts, train, choose, write, and say what came out; return the exit code."""
    given = sys.argv[1:] if words is None else list(words)
    asked = _parser().parse_args(given)
    try:
        for name in ("find_links", "seeds", "links"):
            whole(MODULE, name, getattr(asked, name), 1, 100_000)
        _make(asked, shlex.join(["python", "-m", MODULE, *given]))
    except (LookupError, OSError, ValueError) as error:
        print(f"{MODULE}: {error}", file=sys.stderr)
        return 2
    return 0


def _make(asked: argparse.Namespace, command: str) -> None:
    teacher = read_network(asked.teacher)
    found = judge(teacher, teacher.world, asked.find_links, FOUND_SPLIT, FOUND_SEED)
    contexts = find_contexts(found.links, found.share, asked.contexts, asked.by, asked.least)
    labels = label(contexts, found.links)
    for number, context in enumerate(contexts):
        own = found.share[labels == number]
        print(f"context {number}: {context.text}: {len(own)} links, share {own.mean():.3f}")
    networks, each = [], []
    for number, context in enumerate(contexts):
        network, said = _specialist(number, context, teacher, asked, command)
        networks.append(network)
        each.append(said)
    told = {"command": command, **_origin(asked, found, labels, len(contexts))}
    write_specialists(asked.out, contexts, networks, told, each)
    print(f"wrote {CONTEXTS} and {len(networks)} networks into {asked.out}")


def _specialist(
    number: int, context: Context, teacher: Network, asked: argparse.Namespace, command: str
) -> tuple[Network, dict[str, Any]]:
    """Train the seeds of a context; return the chosen network, and what is said of it."""
    trained: list[Trained] = []
    first = None if asked.from_nothing else teacher
    for seed in range(asked.seeds):
        config = specialised(context, _config(teacher, seed, asked))
        whose = f"context {number}, seed {seed}"
        folder = asked.work / name_of(config, first)
        trained.append(train(config, folder, lambda row, whose=whose: say(whose, row), first))
    chosen = max(trained, key=lambda one: one.best_row.score)
    world = chosen.config.world
    judged = {
        one.config.seed: summary(judge(one.network, world, TEST_LINKS, "test", TEST_SEED))
        for one in trained
    }
    theirs = summary(judge(teacher, world, TEST_LINKS, "test", TEST_SEED))
    print(f"context {number}, seed {chosen.config.seed} (chosen on validation links): test")
    for whose, result in (("specialist", judged[chosen.config.seed]), ("teacher", theirs)):
        print(f"  {whose}: {result}")
    return chosen.network, {
        **provenance(command, chosen, trained, judged),
        "network": f"specialist {number} on {world.environment}, by PPO: {context.text}",
        "context": number,
        "first": "drawn weights" if first is None else asked.teacher.name,
        "test_stream": TEST_SEED,
        "teacher_on_the_same_links": theirs,
    }


def _config(teacher: Network, seed: int, asked: argparse.Namespace) -> TeacherConfig:
    config = corrected(seed=seed, total_steps=asked.steps, validation_links=asked.links)
    return replace(config, world=teacher.world, hidden=teacher.sizes[1:-1])


def _origin(
    asked: argparse.Namespace, found: Judged, labels: NDArray[np.int64], count: int
) -> dict[str, Any]:
    """Return what contexts.json tells of how they were found."""
    own = [found.share[labels == number] for number in range(count)]
    return {
        "found": "leaves of a regression tree from conditions of links to the teacher's share",
        "teacher": {"file": asked.teacher.name, "sha256": digest_of(asked.teacher)},
        "found_on": {"links": len(labels), "split": FOUND_SPLIT, "seed": FOUND_SEED},
        "by": list(asked.by),
        "least": asked.least,
        "links": [len(shares) for shares in own],
        "mean_share": [round(float(shares.mean()), 4) for shares in own],
        "made_with": {name: version(name) for name in ("numba", "numpy", "scikit-learn")},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--contexts", type=int, default=4, help="how many at most (4, as the paper has)"
    )
    parser.add_argument(
        "--by",
        nargs="+",
        choices=CONDITIONS,
        default=CONDITIONS,
        metavar="CONDITION",
        help=f"conditions that contexts may differ in: {', '.join(CONDITIONS)} (all)",
    )
    parser.add_argument(
        "--least",
        type=float,
        default=LEAST_SHARE,
        help=f"least share of links in a context ({LEAST_SHARE})",
    )
    parser.add_argument(
        "--find-links", type=int, default=2000, help="links that contexts are found on (2000)"
    )
    parser.add_argument("--teacher", type=Path, default=TEACHER, help="weights, *.safetensors")
    parser.add_argument("--seeds", type=int, default=1, help="trainings per context (1)")
    parser.add_argument(
        "--steps", type=int, default=PCC_RL_STEPS, help=f"of each training ({PCC_RL_STEPS})"
    )
    parser.add_argument(
        "--from-nothing", action="store_true", help="do not go on from the teacher's weights"
    )
    links = TeacherConfig.validation_links
    parser.add_argument(
        "--links", type=int, default=links, help=f"validation links per context ({links})"
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder of the weights (where controllers look)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=cache_root() / "specialists",
        help="folder of the checkpoints; delete it to train anew",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
