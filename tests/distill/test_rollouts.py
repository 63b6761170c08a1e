"""Roll-outs: whose labels, who acts, and on which tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.congestion.networks import FOLDER
from policies.congestion.rule_inputs import EMPTY, INPUTS, WIDTH
from policies.congestion.symbolic import FOLDER as RULES
from policies.distill.actors import Policy, RuleActor
from policies.distill.judge import judge_on
from policies.distill.rollouts import (
    collect,
    write_rollouts,
)
from policies.distill.weights import read_network
from policies.distill.worlds import LEGACY, World
from policies.rules.parse import read_rule
from sim.net.envs.config import EnvConfig
from tests.distill.rollout_samples import STEPS, WORLD, content, luck, seeds, timid, wilful

CONDITIONS = ("bandwidth_bps", "delay_s", "queue_packets", "loss_probability")
GENTLE = read_rule(RULES / "gentle.rule")


def test_rows_are_the_decisions_link_by_link() -> None:
    found = collect(WORLD, wilful, seeds(7))
    assert len(found) == 7 * STEPS
    assert found.inputs.shape == (7 * STEPS, WIDTH)
    assert [a.dtype for a in (found.inputs, found.labels, found.links, found.steps)] == [
        *(np.float32, np.float32),
        *(np.int32, np.int32),
    ]
    assert (found.links == np.repeat(np.arange(7), STEPS)).all()
    assert (found.steps == np.tile(np.arange(STEPS), 7)).all()
    assert tuple(found.conditions) == CONDITIONS
    judged = judge_on(wilful, WORLD, seeds(7))
    assert (found.share == judged.share).all()
    for name, values in found.conditions.items():
        assert values.dtype == np.float64
        assert (values == judged.links[name]).all()


def test_the_first_decision_of_an_episode_is_on_the_empty_table() -> None:
    found = collect(WORLD, wilful, seeds(7))
    first = found.inputs[found.steps == 0]
    assert (first == np.array(EMPTY, np.float32)).all()
    assert (found.inputs[found.steps == 1] != first).any(axis=1).all()
    low, high = (np.array([bounds[i] for bounds in INPUTS.values()]) for i in range(2))
    assert ((found.inputs >= low) & (found.inputs <= high)).all()


# paper: symbolicpcc roll-outs
@pytest.mark.parametrize("student", ["rule", "function", None])
def test_labels_are_the_teachers_whoever_acts(student: str | None) -> None:
    asked: list[np.ndarray] = []

    def teacher(seen: np.ndarray) -> np.ndarray:
        asked.append(seen.copy())
        answer = wilful(seen)
        seen[:] = 7.0
        return answer

    actor = {"rule": RuleActor(GENTLE), "function": timid, None: None}[student]
    found = collect(WORLD, teacher, seeds(9), actor)
    assert len(asked) == STEPS
    for step, seen in enumerate(asked):
        expected = np.clip(wilful(seen), -1.0, 1.0)
        assert (found.labels[found.steps == step] == expected).all()
    answers = np.concatenate([wilful(seen) for seen in asked])
    assert answers.max() > 1.0, "the teacher never went beyond the bounds"
    assert answers.min() < -1.0, "the teacher never went beyond the bounds"
    judged = judge_on(wilful if actor is None else actor, WORLD, seeds(9))
    assert (found.share == judged.share).all()


def test_tables_are_those_that_the_student_decided_on() -> None:
    seen: list[np.ndarray] = []

    class Spy(RuleActor):
        """A rule that keeps what it saw."""

        def _decide(self, table: np.ndarray) -> np.ndarray:
            seen.append(table.copy())
            return super()._decide(table)

    found = collect(WORLD, wilful, seeds(5), Spy(GENTLE))
    tables = np.stack(seen, axis=1).reshape(-1, WIDTH)
    assert (found.inputs == tables.astype(np.float32)).all()


def test_always_the_teacher_is_the_teacher_acting() -> None:
    alone = collect(WORLD, wilful, seeds(12))
    for mixed in (
        collect(WORLD, wilful, seeds(12), RuleActor(GENTLE), mix=1.0),
        collect(WORLD, wilful, seeds(12), RuleActor(GENTLE), mix=1.0, luck=luck()),
        collect(WORLD, wilful, seeds(12), None, mix=0.5, luck=luck()),
        collect(WORLD, wilful, seeds(12), wilful),
    ):
        assert content(mixed) == content(alone)


def test_of_two_that_act_each_has_whole_episodes() -> None:
    count = 80
    parts = [
        collect(WORLD, wilful, seeds(count), timid, mix, luck(4)) for mix in (0.0, 0.25, 0.5, 1.0)
    ]
    student, *mixed, teacher = parts
    before = np.zeros(count, bool)
    for mix, found in zip((0.25, 0.5), mixed, strict=True):
        by_teacher = found.share == teacher.share
        assert (by_teacher | (found.share == student.share)).all()
        assert by_teacher.mean() == pytest.approx(mix, abs=0.2)
        for mask, one in ((by_teacher, teacher), (~by_teacher, student)):
            assert content(found.of_links(mask)) == content(one.of_links(mask))
        # The same luck: with a larger share of the teacher, more links, and those from before.
        assert (by_teacher >= before).all()
        before = by_teacher


@pytest.mark.parametrize("every", [1, 2, 3, STEPS - 1, STEPS, STEPS + 1, 1000])
def test_thinner_notes_are_some_of_all(every: int) -> None:
    full = collect(WORLD, wilful, seeds(4), timid)
    thin = collect(WORLD, wilful, seeds(4), timid, every=every)
    kept = full.steps % every == 0
    for name in ("inputs", "labels", "links", "steps"):
        assert (getattr(thin, name) == getattr(full, name)[kept]).all()
    assert len(thin) == kept.sum()
    assert (thin.share == full.share).all()


def test_links_do_not_depend_on_those_beside_them() -> None:
    for actor in (None, RuleActor(GENTLE)):
        many = collect(WORLD, wilful, seeds(70), actor)
        few = collect(WORLD, wilful, seeds(6), actor)
        assert content(many.of_links(np.arange(70) < 6)) == content(few)


def test_the_same_seeds_give_the_same_bytes(tmp_path: Path) -> None:
    teacher = read_network(FOLDER / "teacher_corrected.safetensors")
    files = []
    for folder in ("a", "b"):
        found = collect(WORLD, teacher, seeds(20), RuleActor(GENTLE), 0.5, luck(1), every=3)
        path = tmp_path / folder / "r.safetensors"
        write_rollouts(path, found, {"seeds": seeds(20)})
        files.append((path.read_bytes(), path.with_suffix(".json").read_bytes()))
        assert len(np.unique(found.labels)) > 50
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mix": 1.5}, "mix must be a probability"),
        ({"mix": float("nan")}, "mix must be a probability"),
        ({"mix": 0.5}, "mix = 0.5 needs luck"),
        ({"every": 0}, "every must be an integer of 1"),
        ({"every": 2.0}, "every must be an integer of 1"),
        ({"seeds": []}, "seeds: there must be at least one"),
        ({"teacher": lambda seen: np.zeros(2)}, r"answered with shape \(2,\) for 3 links"),
        ({"teacher": lambda seen: np.full(3, np.nan)}, "labels: must be finite numbers"),
        ({"actor": lambda seen: np.full(3, np.inf)}, r"action\[0\] = inf is not a finite number"),
        ({"world": World(LEGACY, EnvConfig.legacy(steps=3))}, "tells no rows of intervals"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    given_here = {"world": WORLD, "teacher": wilful, "seeds": [1, 2, 3], "actor": timid}
    with pytest.raises(ValueError, match=message):
        collect(**{**given_here, **changes})


def test_policies_may_be_networks_or_functions() -> None:
    policy: Policy = read_network(FOLDER / "teacher_corrected.safetensors")
    found = collect(WORLD, policy, seeds(10))
    judged = judge_on(policy, WORLD, seeds(10))
    assert (found.share == judged.share).all()
