"""Roll-outs: the table of rule inputs before each decision, and what the teacher would do there.

A rule that imitates the teacher comes into states that the teacher avoids, where nothing tells it
what to do. So states are collected under whoever acts, a student or the teacher, and labels are
always the teacher's: S. Ross, G. Gordon, D. Bagnell, "A Reduction of Imitation Learning and
Structured Prediction to No-Regret Online Learning" (DAgger), AISTATS 2011, section 3. Where both
act, each has whole episodes.

On the disk they are two files: rows as tensors in safetensors, links in JSON, where float64 keeps
all its digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from policies.congestion.networks import read_safetensors
from policies.congestion.rule_inputs import INPUTS, WIDTH
from policies.distill.actors import Actions, Actor, OnObservations, Policy, Tables, as_actor
from policies.distill.judge import judge_on
from policies.distill.storage import digest_of, read_json, write_json, write_tensors
from policies.distill.worlds import World
from sim.net.problems import whole

if TYPE_CHECKING:
    from sim.net.envs.batch import Batch

FORMAT = 1
ROWS = ("inputs", "labels", "links", "steps")
"""What there is of each row."""
MOST_ROWS, MOST_LINKS = 450_000, 20_000
"""Of a file: `read_safetensors` takes 64 MiB, `read_json` 4."""
MOST_WHOLE = 2**24 - 1
"""Places and steps are exact as float32, the one type of the tensors' file."""


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Decisions on links, one a row.

    Arrays of wider types of the same kind are narrowed.

    Attributes:
        inputs: float32[rows, WIDTH], the table before the decision, columns as
            `rule_inputs.INPUTS`.
        labels: float32[rows], the teacher's action there, within [-1, 1].
        links: int32[rows], place of the row's link in the arrays of links.
        steps: int32[rows], the decision's number within the episode.
        conditions: name -> float64[n], what the links are, as `Batch.links` names it:
            bandwidth_bps, delay_s, queue_packets, loss_probability.
        share: float64[n], share of the ideal reward that who acted got on the link.

    Raises:
        ValueError: shapes do not fit, a number is not finite, or a value is out of range.
        TypeError: an array is of another kind.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.float32]
    links: NDArray[np.int32]
    steps: NDArray[np.int32]
    conditions: dict[str, NDArray[np.float64]]
    share: NDArray[np.float64]

    def __post_init__(self) -> None:
        rows, count = np.size(self.labels), np.size(self.share)
        checked = {
            "inputs": _narrowed("inputs", self.inputs, np.float32, (rows, WIDTH)),
            "labels": _narrowed("labels", self.labels, np.float32, (rows,), -1, 1),
            "links": _narrowed("links", self.links, np.int32, (rows,), 0, count - 1),
            "steps": _narrowed("steps", self.steps, np.int32, (rows,), 0, MOST_WHOLE),
            "share": _narrowed("share", self.share, np.float64, (count,)),
            "conditions": {
                name: _narrowed(f"condition {name[:40]!r}", values, np.float64, (count,))
                for name, values in self.conditions.items()
            },
        }
        for name, values in checked.items():
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.labels)

    def of_links(self, mask: NDArray[np.bool_]) -> Rollouts:
        """Return the chosen links and their rows; links are numbered anew, in their order.

        Args:
            mask: bool[n], whether to take a link.

        Raises:
            ValueError: the mask is not a bool for each link.
        """
        mask = np.asarray(mask)
        if mask.shape != self.share.shape or mask.dtype != np.bool_:
            raise ValueError(
                f"mask: must be a bool for each of {len(self.share)} links, got {mask.dtype} of "
                f"shape {mask.shape}"
            )
        rows, places = mask[self.links], np.cumsum(mask) - 1
        return Rollouts(
            self.inputs[rows],
            self.labels[rows],
            places[self.links[rows]],
            self.steps[rows],
            {name: values[mask] for name, values in self.conditions.items()},
            self.share[mask],
        )

    def joined(self, *others: Rollouts) -> Rollouts:
        """Return these and the others, one after the other; links of each are links of their own.

        Raises:
            ValueError: they tell different conditions.
        """
        parts = (self, *others)
        for part in others:
            if set(part.conditions) != set(self.conditions):
                raise ValueError(
                    f"conditions: {', '.join(part.conditions)} cannot be joined to "
                    f"{', '.join(self.conditions)}"
                )
        firsts = np.cumsum([0, *(len(part.share) for part in parts)])[:-1]
        return Rollouts(
            np.concatenate([part.inputs for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.links + at for part, at in zip(parts, firsts, strict=True)]),
            np.concatenate([part.steps for part in parts]),
            {n: np.concatenate([part.conditions[n] for part in parts]) for n in self.conditions},
            np.concatenate([part.share for part in parts]),
        )

    def thinned(self, rows: int, luck: np.random.Generator) -> Rollouts:
        """Return `rows` of the rows, drawn without repetition and in their order; all links stay.

        Where there are no more than that, these.

        Raises:
            ScenarioError: `rows` is not a whole number of at least 0.
        """
        whole("Rollouts", "rows", rows)
        if rows >= len(self):
            return self
        kept = np.sort(luck.choice(len(self), rows, replace=False))
        return Rollouts(
            self.inputs[kept],
            self.labels[kept],
            self.links[kept],
            self.steps[kept],
            self.conditions,
            self.share,
        )


def _narrowed(
    name: str,
    given: Any,
    kind: Any,
    shape: tuple[int, ...],
    low: float = -1e30,
    high: float = 1e30,
) -> NDArray[Any]:
    """Return an array of a type, if its shape and its values are as they must be."""
    values = np.asarray(given)
    if values.shape != shape:
        raise ValueError(f"{name}: must be of shape {shape}, got {values.shape}")
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        found = values[bad].ravel()[0]
        raise ValueError(f"{name}: must be finite numbers of {low} to {high}, got {found}")
    return values.astype(kind, casting="same_kind", copy=False)


class _Recorder:
    """Lets teacher and actor act, and notes tables and the teacher's answers."""

    def __init__(
        self,
        teacher: Policy,
        actor: Actor | None,
        by_teacher: NDArray[np.bool_],
        steps: Sequence[int],
    ) -> None:
        self.teacher, self.actor, self.by_teacher = OnObservations(teacher), actor, by_teacher
        self.places = {step: place for place, step in enumerate(steps)}
        self.tables, self.step = Tables(), 0
        shape = (len(by_teacher), len(steps))
        self.inputs = np.zeros((*shape, WIDTH), np.float32)
        self.labels = np.zeros(shape, np.float32)

    def begin(self, batch: Batch) -> None:
        """Begin with empty tables."""
        self.tables.begin(batch.count)
        self.teacher.begin(batch)
        if self.actor is not None:
            self.actor.begin(batch)
        self.step = 0

    def act(self, batch: Batch) -> Actions:
        """Note what is noted of this step; return the actions of who acts on each link."""
        table, labels = self.tables.current(batch), self.teacher.act(batch)
        place = self.places.get(self.step)
        if place is not None:
            self.inputs[:, place] = table
            self.labels[:, place] = np.clip(labels, -1.0, 1.0)
        self.step += 1
        if self.actor is None:
            return labels
        return np.where(self.by_teacher, labels, self.actor.act(batch))


# paper: symbolicpcc roll-outs
def collect(
    world: World,
    teacher: Policy,
    seeds: Sequence[int],
    actor: Policy | Actor | None = None,
    mix: float = 0.0,
    luck: np.random.Generator | None = None,
    every: int = 1,
) -> Rollouts:
    """Run one episode on the link of each seed, as `judge.judge_on`, and note its decisions.

    Args:
        world: an environment that tells rows of intervals: triptych/Pcc-v1.
        teacher: gives the labels, whoever acts.
        seeds: of the links.
        actor: who acts; None: the teacher.
        mix: probability that the teacher acts on a link, for its whole episode, in the place of
            the actor (DAgger's beta).
        luck: draws on which links; needed where `mix` is neither 0 nor 1.
        every: every how many decisions one is noted, the first of an episode included.

    Returns:
        Rows link by link, each link's in the order of its episode.

    Raises:
        ValueError: an argument is out of range, there is no seed, teacher or actor answer with the
            wrong shape or what is not finite, or the environment tells no rows.
    """
    whole("collect", "every", every, 1)
    if not 0.0 <= mix <= 1.0:
        raise ValueError(f"collect: mix must be a probability, 0 to 1, got {mix}")
    if luck is None and 0.0 < mix < 1.0:
        raise ValueError(f"collect: mix = {mix} needs luck, a generator to draw links with")
    count, steps = len(seeds), range(0, world.config.steps, every)
    drawn = np.zeros(count) if luck is None else luck.random(count)
    actor = None if actor is None else as_actor(actor)
    recorder = _Recorder(teacher, actor, drawn < mix, steps)
    judged = judge_on(recorder, world, seeds)
    return Rollouts(
        recorder.inputs.reshape(-1, WIDTH),
        recorder.labels.reshape(-1),
        np.repeat(np.arange(count, dtype=np.int32), len(steps)),
        np.tile(np.array(steps, np.int32), count),
        {name: values.astype(np.float64) for name, values in judged.links.items()},
        judged.share,
    )


def write_rollouts(path: Path, rollouts: Rollouts, told: Mapping[str, Any]) -> None:
    """Put the rows at `path` (`*.safetensors`), and the links beside it (`*.json`).

    Args:
        path: of the rows.
        rollouts: what to write.
        told: what else to say, JSON values: the seeds, who acted, ...

    Raises:
        ValueError: there are more rows or links than a file holds, or `told` has a number that is
            not finite.
        OSError: the folder cannot be written.
    """
    rows, links = len(rollouts), len(rollouts.share)
    if rows > MOST_ROWS or links > MOST_LINKS:
        raise ValueError(
            f"{path}: {rows} rows of {links} links, but a file holds {MOST_ROWS} of {MOST_LINKS}; "
            "thin them, or write parts"
        )
    digest = write_tensors(path, {n: getattr(rollouts, n).astype(np.float32) for n in ROWS})
    conditions = {name: values.tolist() for name, values in rollouts.conditions.items()}
    own = {"format": FORMAT, "rows": rows, "inputs": list(INPUTS), "sha256": digest}
    own |= {"share": rollouts.share.tolist(), "conditions": conditions}
    write_json(path.with_suffix(".json"), {**told, **own})


def read_rollouts(path: Path) -> Rollouts:
    """Return what `write_rollouts` put at `path` (`*.safetensors`).

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is damaged, of other inputs than rules have now, or the two do not
            belong together; the message names it.
    """
    where = path.with_suffix(".json")
    told = read_json(where)
    conditions = told.get("conditions")
    if told.get("format") != FORMAT or not isinstance(conditions, dict):
        raise ValueError(f"{where}: tells of no roll-outs of format {FORMAT}")
    if told.get("inputs") != list(INPUTS):
        raise ValueError(f"{where}: has other inputs than rules have now; collect them anew")
    known = {
        name: _floats(f"{where}: condition {name[:40]!r}", values)
        for name, values in conditions.items()
    }
    share = _floats(f"{where}: share", told.get("share"))
    if told.get("sha256") != digest_of(path):
        raise ValueError(f"{path}: is not the file whose sha256 {where.name} tells")
    tensors = read_safetensors(path)
    if set(tensors) != set(ROWS):
        raise ValueError(f"{path}: tensors must be {', '.join(ROWS)}")
    links, steps = (_whole(f"{path}: {name}", tensors[name]) for name in ("links", "steps"))
    try:
        return Rollouts(tensors["inputs"], tensors["labels"], links, steps, known, share)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _floats(what: str, values: Any) -> NDArray[np.float64]:
    good = isinstance(values, list) and len(values) <= MOST_LINKS
    if not good or not all(type(v) in (int, float) and abs(v) < 1e300 for v in values):
        raise ValueError(f"{what}: must be a list of finite numbers")
    return np.array(values, np.float64)


def _whole(what: str, values: NDArray[np.float32]) -> NDArray[np.int32]:
    if not ((values == np.floor(values)) & (np.abs(values) <= MOST_WHOLE)).all():
        raise ValueError(f"{what}: must be whole numbers of 0 to {MOST_WHOLE}")
    return values.astype(np.int32)
