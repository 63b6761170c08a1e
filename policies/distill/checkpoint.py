"""A training on the disk: tensors in safetensors, the rest in JSON, nothing pickled.

`checkpoint.json` is renamed into place last and names the tensors' file that belongs to it, so a
kill at any moment leaves a whole checkpoint, this one or the one before. No state of a random
generator is kept: each batch has generators of its own, named by its number.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from policies.congestion.networks import read_safetensors
from policies.distill.course import Course, Row
from policies.distill.episodes import Moment
from policies.distill.learner import Learner, Lesson
from policies.distill.storage import digest_of, read_json, write_json, write_tensors
from policies.distill.weights import Network

FORMAT = 1
NAME = "checkpoint.json"
POLICY, ADAM, BEST = "policy/", "adam/", "best/"


def save(folder: Path, learner: Learner, course: Course) -> None:
    """Put a checkpoint into `folder`, and remove the tensors of the one before.

    Raises:
        ValueError: weights are no longer finite: the training has diverged.
        OSError: the disk is full, or the folder cannot be written.
    """
    moment = learner.episodes.moment()
    tensors = {f"{POLICY}{k}": v.numpy() for k, v in learner.policy.state_dict().items()}
    for place, state in learner.policy.optimizer.state_dict()["state"].items():
        tensors |= {f"{ADAM}{place}/{name}": value.numpy() for name, value in state.items()}
    best = course.best.tensors if course.best else {}
    tensors |= {f"{BEST}{name}": value for name, value in best.items()}
    tensors |= {"actions": moment.actions, "observations": moment.observations}
    path = folder / f"tensors-{course.batches:07d}.safetensors"
    digest = write_tensors(path, tensors)
    told = {
        "format": FORMAT,
        "config": learner.config.as_json(),
        "first": _first(learner),
        "batches": course.batches,
        "seconds": course.seconds,
        "best_steps": course.best_steps,
        "rows": [asdict(row) for row in course.rows],
        "lessons": [asdict(lesson) for lesson in course.lessons],
        "episodes": moment.episodes.tolist(),
        "steps": moment.steps.tolist(),
        "ages": moment.ages.tolist(),
        "tensors": path.name,
        "sha256": digest,
    }
    write_json(folder / NAME, told)
    for other in folder.glob("tensors-*.safetensors"):
        if other != path:
            other.unlink()


def load(folder: Path, learner: Learner) -> Course | None:
    """Bring a fresh learner to the checkpoint in `folder`; None if there is none.

    Raises:
        ValueError: the checkpoint is damaged, of another configuration, or of other code.
        OSError: it cannot be read.
    """
    path = folder / NAME
    if not path.exists():
        return None
    told = read_json(path)
    _check_config(path, told, learner)
    try:
        tensors = _tensors(folder, told)
        _restore(learner, told, tensors)
        return _course(learner, told, tensors)
    except (LookupError, TypeError, ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: {reason}; remove {folder} to train anew") from None


def _check_config(path: Path, told: dict[str, Any], learner: Learner) -> None:
    ours, theirs = learner.config.as_json(), told.get("config")
    if told.get("format") != FORMAT or not isinstance(theirs, dict):
        raise ValueError(f"{path}: is not a checkpoint of format {FORMAT}")
    differing = [name for name in ours if theirs.get(name) != ours[name]]
    differing += ["first policy"] if told.get("first") != _first(learner) else []
    if differing:
        raise ValueError(
            f"{path}: belongs to a training with another {differing[0]}; choose another folder"
        )


def _first(learner: Learner) -> str | None:
    return None if learner.first is None else learner.first.digest


def _tensors(folder: Path, told: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    name = told["tensors"]
    if not isinstance(name, str) or Path(name).name != name:
        raise ValueError(f"tensors: {str(name)[:80]!r} is not the name of a file beside it")
    if digest_of(folder / name) != told["sha256"]:
        raise ValueError(f"{name} is not the file whose sha256 it tells")
    return read_safetensors(folder / name)


def _restore(
    learner: Learner, told: dict[str, Any], tensors: dict[str, NDArray[np.float32]]
) -> None:
    weights = _below(tensors, POLICY)
    learner.policy.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _below(tensors, ADAM).items():
        place, _, part = name.partition("/")
        states.setdefault(int(place), {})[part] = torch.from_numpy(value)
    optimizer = learner.policy.optimizer
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
    counts = [np.array(told[name], np.int64) for name in ("episodes", "steps", "ages")]
    episodes, steps, ages = counts
    learner.episodes.go_to(
        Moment(episodes, steps, ages, tensors["actions"], tensors["observations"])
    )


def _course(
    learner: Learner, told: dict[str, Any], tensors: dict[str, NDArray[np.float32]]
) -> Course:
    best = _below(tensors, BEST)
    return Course(
        batches=int(told["batches"]),
        seconds=float(told["seconds"]),
        rows=[Row(**row) for row in told["rows"]],
        lessons=[Lesson(**lesson) for lesson in told["lessons"]],
        best=Network(best, learner.config.world) if best else None,
        best_steps=int(told["best_steps"]),
    )


def _below(tensors: dict[str, NDArray[np.float32]], prefix: str) -> dict[str, NDArray[np.float32]]:
    """Return the tensors whose names begin with `prefix`, without it."""
    size = len(prefix)
    return {name[size:]: value for name, value in tensors.items() if name.startswith(prefix)}
