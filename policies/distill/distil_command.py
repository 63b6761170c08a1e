"""Distil the teacher into a rule, report it on test links, and say how it came to be.

    python -m policies.distill.distil_command symbolic
    python -m policies.distill.distil_command branched --specialists

write `policies/congestion/rules/symbolic.rule` and `symbolic_branched.rule`, each with a JSON of
its provenance beside it; `linear` and `tree` are there to compare with. Interrupted, it goes on
where it was.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.paths import cache_root
from policies.congestion.networks import FOLDER as WEIGHTS
from policies.congestion.symbolic import FOLDER as RULES
from policies.distill.actors import RuleActor
from policies.distill.assemble import rule_of
from policies.distill.contexts import write_contexts
from policies.distill.distil import Distilled, distil
from policies.distill.distil_config import PRESETS, DistilConfig, preset
from policies.distill.distil_files import write_rule
from policies.distill.fronts import write_front
from policies.distill.judge import judge, summary
from policies.distill.specialists import read_specialists
from policies.distill.steps import Progress
from policies.distill.storage import digest_of, write_json
from policies.distill.weights import read_network
from policies.rules.count import operations

MODULE = "policies.distill.distil_command"
TEACHER = WEIGHTS / "teacher_corrected.safetensors"
TEST_LINKS = 1000
PACKAGES = ("cmaes", "numba", "numpy", "pyoperon", "pysr", "scikit-learn")
SAY_EVERY_S = 5.0
DECIDER, FRONT, CONTEXTS = "specialists.rule", ".front.json", ".contexts.json"


def main(words: Sequence[str] | None = None) -> int:
    """Distil, judge, write, and say what came out; return the exit code."""
    given = sys.argv[1:] if words is None else list(words)
    asked = _parser().parse_args(given)
    try:
        config = _config(asked)
        teacher = read_network(asked.teacher)
        contexts, specialists = (
            read_specialists(asked.specialists) if asked.specialists else (None, None)
        )
        folder = asked.work / f"{asked.variant}-seed{config.seed}"
        found = distil(config, teacher, folder, specialists, contexts, _Sayer())
    except (OSError, LookupError, ValueError) as error:
        print(f"{MODULE}: {error}", file=sys.stderr)
        return 1
    out = asked.out or RULES / f"{config.name}.rule"
    tests = {
        name: summary(judge(policy, config.world, asked.links, "test"))
        for name, policy in (("test", RuleActor(found.rule)), ("teacher_test", teacher))
    }
    told = {"command": shlex.join(["python", "-m", MODULE, *given]), **_files(asked), **tests}
    write(out, found, told)
    for name, result in tests.items():
        print(f"{name}: {result}")
    print(f"wrote {out}")
    return 0


def write(out: Path, found: Distilled, told: dict[str, Any]) -> None:
    """Put a rule at `out` (`*.rule`), how it came to be beside it (`*.json`), and its parts.

    An unbranched rule's front goes beside it, too; of a branched one the decider, as the rule of
    numbers of branches that specialists go by, and the contexts.

    Args:
        out: of the rule.
        found: what came of the distillation.
        told: what else to say; JSON values.

    Raises:
        OSError: the folder cannot be written.
    """
    write_rule(out, found.rule)
    if found.decider is None:
        write_front(out.with_suffix(FRONT), found.front)
    else:
        write_rule(out.with_name(DECIDER), rule_of(found.decider))
        write_contexts(out.with_suffix(CONTEXTS), found.contexts)
    write_json(out.with_suffix(".json"), {**provenance(found), **told, "sha256": digest_of(out)})


def provenance(found: Distilled) -> dict[str, Any]:
    """Return how a rule came to be; JSON values."""
    config, decided = found.config, found.accuracy
    refinements = [*found.branches, *([found.refined] if found.refined else [])]
    return {
        "rule": f"{config.name}, distilled from a network on {config.world.environment}",
        "seed": config.seed,
        "operations": asdict(operations(found.rule)),
        "contexts": [context.text for context in found.contexts],
        "decider_accuracy": None if decided is None else round(decided.over_rows, 4),
        "decider_matrix": None if decided is None else decided.matrix.round(4).tolist(),
        "rounds": [
            {"rows": one.rows, "error": one.error, "share": one.share, "median": one.median}
            for one in found.rounds
        ],
        "refinements": [
            {"taken": one.taken, "before": one.before, "after": one.after} for one in refinements
        ],
        "parameters": config.as_json(),
        "made_with": _versions(),
        "licence": "Apache-2.0",
    }


class _Sayer:
    """Prints how far a distillation is: the end of each step, and now and then what comes of it."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, progress: Progress) -> None:
        """Print a line, unless one was printed just before."""
        now = time.monotonic()
        if progress.done < 1.0 and now - self._said < SAY_EVERY_S:
            return
        self._said = now
        how = "found" if progress.found else f"{progress.done:.0%}"
        text = f", {progress.text}" if progress.text else ""
        print(
            f"{progress.place}/{progress.steps} {progress.step}: {how}{text}; "
            f"{progress.seconds / 60.0:.1f} min, {progress.left / 60.0:.1f} min left",
            flush=True,
        )


def _config(asked: argparse.Namespace) -> DistilConfig:
    """Return the parameters that the words of the command say."""
    names = ("seed", "rounds", "contexts", "decider_leaves")
    changes = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    if asked.inputs:
        changes["inputs"] = tuple(asked.inputs.split(","))
    if asked.specialists:
        changes["specialists"] = True
    if asked.no_refinement:
        changes |= {"refine": None, "last": None}
    return preset(asked.variant, **changes)


def _files(asked: argparse.Namespace) -> dict[str, Any]:
    """Return which networks were distilled."""
    told: dict[str, Any] = {"teacher": {"file": asked.teacher.name}}
    told["teacher"]["sha256"] = digest_of(asked.teacher)
    if asked.specialists:
        paths = sorted(asked.specialists.glob("specialist_*.safetensors"))
        told["specialists"] = [{"file": path.name, "sha256": digest_of(path)} for path in paths]
    return told


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of another method
            continue
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variant", choices=sorted(PRESETS), help="what the rule is to be like")
    parser.add_argument("--seed", type=int, help="of links, regressions and searches")
    parser.add_argument("--rounds", type=int, help="of DAgger after the first roll-outs")
    parser.add_argument("--contexts", type=int, help="branches; 1: no decider")
    parser.add_argument("--decider-leaves", type=int, help="of the decider, at most")
    parser.add_argument("--inputs", help="that the formulas may use, with commas between them")
    parser.add_argument(
        "--no-refinement", action="store_true", help="leave the constants as they were fitted"
    )
    parser.add_argument(
        "--specialists",
        type=Path,
        nargs="?",
        const=WEIGHTS,
        help="let the specialists in this folder (or the shipped ones) give the labels, "
        "in their contexts",
    )
    parser.add_argument("--teacher", type=Path, default=TEACHER, help="weights, *.safetensors")
    parser.add_argument("--links", type=int, default=TEST_LINKS, help="test links, to report")
    parser.add_argument("--out", type=Path, help="file of the rule, *.rule")
    parser.add_argument(
        "--work", type=Path, default=cache_root() / "distil", help="folder of the steps' files"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
