"""Distillations: they repeat to the byte, go on after any stop, and redo only what they must."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.distill.actors import RuleActor
from policies.distill.assemble import MOST_PATH, MOST_TOTAL
from policies.distill.choice import share_of
from policies.distill.contexts import Context, label
from policies.distill.distil import Distilled, distil
from policies.distill.distil_config import ChoiceSettings, links_for
from policies.distill.distil_plan import expected_seconds
from policies.distill.fronts import read_front
from policies.distill.judge import begun, judge_on
from policies.distill.refine import RefineSettings
from policies.distill.rollouts import read_rollouts
from policies.distill.weights import Network
from policies.distill.worlds import World
from policies.rules.count import operations
from policies.rules.parse import read_rule
from policies.rules.write import text_of
from tests.distill.small import network_of
from tests.distill.small_distil import (
    WORLD,
    InterruptedHereError,
    Watch,
    files_of,
    small,
    teacher,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Distilled, Watch]:
    """Return a finished distillation, not to be changed."""
    folder, watch = tmp_path_factory.mktemp("done"), Watch()
    return folder, distil(small(), teacher(), folder, progress=watch), watch


def copied(done: tuple[Path, Distilled, Watch], folder: Path) -> Path:
    shutil.copytree(done[0], folder / "copy")
    return folder / "copy"


def test_every_planned_step_is_made_once_and_in_order(
    done: tuple[Path, Distilled, Watch],
) -> None:
    _, found, watch = done
    assert watch.made == list(expected_seconds(small(), len(found.contexts)))
    assert watch.found == []
    assert watch.told[-1].left == 0.0
    assert watch.told[-1].place == watch.told[-1].steps == len(watch.made)
    assert any(told.text for told in watch.told)


def test_the_result_is_what_its_parts_say(done: tuple[Path, Distilled, Watch]) -> None:
    folder, found, _ = done
    assert found.rule.name == "small"
    assert read_rule(folder / "rule.rule") == found.rule
    cost = operations(found.rule)
    assert cost.worst_path <= MOST_PATH
    assert cost.total <= MOST_TOTAL
    assert len(found.contexts) == len(found.fronts) == len(found.choices) == 2
    assert len(found.branches) == 2
    assert found.decider is not None
    assert found.accuracy is not None
    assert 0.0 <= found.accuracy.over_rows <= 1.0
    assert found.accuracy.matrix.shape == (2, 2)
    assert len(found.rounds) == len(found.curve) == 2
    assert found.rounds[1].rows > found.rounds[0].rows
    assert found.refined is not None
    for refined in (*found.branches, found.refined):
        assert refined.after >= refined.before
    assert found.front == found.fronts[0]
    common = read_front(folder / "front-1-2.json")
    assert common
    assert all(front[-len(common) :] == common != front for front in found.fronts)


def test_rounds_are_judged_on_links_of_their_own(done: tuple[Path, Distilled, Watch]) -> None:
    _, found, _ = done
    seeds = links_for("rounds", 0, small().judged_links)
    for one in found.rounds:
        assert one.share == share_of(judge_on(RuleActor(one.rule), WORLD, seeds))


def test_rows_of_a_round_are_under_the_rule_of_the_one_before(
    done: tuple[Path, Distilled, Watch],
) -> None:
    """On the links where the teacher did not act itself, shares are those of the rule."""
    folder, found, _ = done
    first, second = (read_rollouts(folder / f"rollouts-{n}.safetensors") for n in range(2))
    seeds = links_for("rollouts", 0, small().links_per_round, 1)
    rule = judge_on(RuleActor(found.rounds[0].rule), WORLD, seeds).share
    network = judge_on(teacher(), WORLD, seeds).share
    assert ((second.share == rule) | (second.share == network)).all()
    assert 0 < (second.share == network).sum() < len(seeds)
    own = judge_on(teacher(), WORLD, links_for("rollouts", 0, small().links_per_round, 0)).share
    assert (first.share == own).all()


def test_branches_learn_on_their_own_contexts(done: tuple[Path, Distilled, Watch]) -> None:
    _, found, _ = done
    for number, context in enumerate(found.contexts):
        known = begun(context.world(WORLD), list(range(50))).links()
        assert (label(found.contexts, known) == number).all()


def test_the_same_seed_makes_the_same_bytes(
    done: tuple[Path, Distilled, Watch], tmp_path: Path
) -> None:
    distil(small(), teacher(), tmp_path / "a")
    assert files_of(tmp_path / "a") == files_of(done[0])
    other = distil(small(seed=1), teacher(), tmp_path / "b")
    assert text_of(other.rule) != text_of(done[1].rule)


def test_a_finished_distillation_is_read(done: tuple[Path, Distilled, Watch]) -> None:
    folder, first, _ = done
    before, watch = files_of(folder), Watch()
    again = distil(small(), teacher(), folder, progress=watch)
    assert watch.made == []
    assert files_of(folder) == before
    for name in ("rule", "contexts", "decider", "fronts", "choices", "branches", "rounds"):
        assert getattr(again, name) == getattr(first, name)
    assert again.refined == first.refined


@pytest.mark.extensive
@pytest.mark.parametrize("moment", ["begin", "middle", "end"])
def test_a_stop_at_any_step_changes_nothing_and_repeats_nothing(
    moment: str, done: tuple[Path, Distilled, Watch], tmp_path: Path
) -> None:
    """Each run is stopped in the first step that it has to do, or after it."""
    made: list[str] = []
    steps = done[2].made
    goal = dict.fromkeys(steps, 0)
    for _ in range(3 * len(steps)):
        at = Watch(lambda told: stops(told, moment, goal))
        try:
            distil(small(), teacher(), tmp_path, progress=at)
        except InterruptedHereError:
            made += at.made
            continue
        made += at.made
        break
    assert made == steps
    assert files_of(tmp_path) == files_of(done[0])


def stops(told: Any, moment: str, goal: dict[str, int]) -> bool:
    """Return whether to stop here, for the first time at this moment of this step."""
    if told.found or goal[told.step]:
        return False
    here = {
        "begin": told.done == 0.0,
        "middle": told.done > 0.0 and bool(told.text),
        "end": told.done == 1.0 and not told.text,
    }[moment]
    goal[told.step] += here
    return here


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"most_total": 100}, "choice-0-0"),
        ({"last": RefineSettings(3, 4)}, "refined"),
        ({"last_links": 5}, "refined"),
        ({"refine": RefineSettings(2, 5)}, "branch-0"),
        ({"choice": ChoiceSettings(7, 2)}, "choice-1-0"),
        ({"quick_choice": ChoiceSettings(5, 2)}, "choice-0-0"),
        ({"rows": 299}, "front-0-0"),
        ({"decider_leaves": 2}, "decider-0-0"),
        ({"balances": (0.0, 1.0)}, "decider-0-1"),
        ({"every": 5}, "rollouts-0"),
        ({"mix": 0.5}, "rollouts-1"),
        ({"by": ("loss_probability",)}, "contexts"),
        ({"explored": 61}, "exploration"),
        ({"last": None}, "rule"),
        ({"judged_links": 9}, "decider-0"),
    ],
)
@pytest.mark.extensive
def test_a_change_redoes_what_depends_on_it(
    change: dict[str, Any],
    first: str,
    done: tuple[Path, Distilled, Watch],
    tmp_path: Path,
) -> None:
    """And gives what a distillation from nothing gives."""
    folder, watch = copied(done, tmp_path), Watch()
    found = distil(small(**change), teacher(), folder, progress=watch)
    assert watch.made[0] == first
    order = [told.step for told in watch.told if told.done == 1.0 and not told.text]
    assert set(order[: order.index(first)]).isdisjoint(watch.made)
    fresh = distil(small(**change), teacher(), tmp_path / "fresh")
    assert text_of(fresh.rule) == text_of(found.rule)
    ours = files_of(folder)
    assert all(ours[name] == content for name, content in files_of(tmp_path / "fresh").items())


@pytest.mark.extensive
def test_damaged_files_are_one_message_that_says_which_to_remove(
    done: tuple[Path, Distilled, Watch], tmp_path: Path
) -> None:
    folder = copied(done, tmp_path)
    whole = files_of(folder)
    for name, content in whole.items():
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match="remove") as caught:
            distil(small(), teacher(), folder)
        text = str(caught.value)
        assert "\n" not in text
        assert name in text
        named = re.search(r"remove (\S+) to have", text)
        assert named, text
        Path(named[1]).unlink()
        watch = Watch()
        distil(small(), teacher(), folder, progress=watch)
        assert len(watch.made) == 1
        assert files_of(folder) == whole


def test_an_unbranched_rule_has_no_decider(tmp_path: Path) -> None:
    watch = Watch()
    found = distil(small(contexts=1, rounds=0), teacher(), tmp_path, progress=watch)
    assert watch.made == list(expected_seconds(small(contexts=1, rounds=0), 1))
    assert (found.decider, found.accuracy, found.branches) == (None, None, ())
    assert found.contexts == (Context({}),)
    assert operations(found.rule).decider == 0


def test_without_refinement_the_rule_is_that_of_the_last_round(tmp_path: Path) -> None:
    config = small(refine=None, last=None, rounds=0)
    found = distil(config, teacher(), tmp_path)
    assert found.refined is None
    assert found.branches == ()
    table = read_rollouts(tmp_path / "rollouts-0.safetensors").inputs.astype(np.float64)
    ours, its = (RuleActor(rule).policy(table) for rule in (found.rule, found.rounds[-1].rule))
    assert (np.asarray(ours) == np.asarray(its)).all()


def test_specialists_give_the_labels_of_their_contexts(tmp_path: Path) -> None:
    contexts = (
        Context({"loss_probability": (-np.inf, 0.05)}),
        Context({"loss_probability": (0.05, np.inf)}),
    )
    networks = [network_of(context.world(WORLD), seed=n) for n, context in enumerate(contexts)]
    config = small(specialists=True, rounds=0, refine=None, last=None, method="tree", leaves=(4,))
    found = distil(config, teacher(), tmp_path, networks, contexts)
    assert found.contexts == contexts
    assert not list(tmp_path.glob("exploration*"))
    rows = read_rollouts(tmp_path / "rollouts-0.safetensors")
    seeds = links_for("rollouts", 0, config.links_per_round, 0)
    labels = label(contexts, begun(WORLD, seeds).links())
    both = np.stack([judge_on(network, WORLD, seeds).share for network in networks])
    assert (rows.share == both[labels, np.arange(len(seeds))]).all()


def test_networks_contexts_and_parameters_must_fit(tmp_path: Path) -> None:
    two = (Context({"delay_s": (-np.inf, 0.01)}), Context({"delay_s": (0.01, np.inf)}))
    network = teacher()
    for config, given, message in (
        (small(contexts=1), (None, two), "2 are given, but the parameters say 1"),
        (small(specialists=True), (None, None), "must be given"),
        (small(specialists=True), ([network] * 2, None), "must be given"),
        (small(specialists=True), ([network], two), "1 networks for 2 contexts"),
        (small(), ([network] * 2, two), "the parameters say that there are none"),
    ):
        with pytest.raises(ValueError, match=message):
            distil(config, network, tmp_path, *given)

    slow = World(WORLD.environment, replace(WORLD.config, delta=0.1))
    with pytest.raises(ValueError, match=r"teacher: its delta is 0\.05, the links' is 0\.1"):
        distil(small(world=slow), network, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_teacher_that_does_nothing_is_one_message(tmp_path: Path) -> None:
    """All its weights are zero, and so are its actions."""
    still = network_of(WORLD)
    tensors = {name: np.zeros_like(tensor) for name, tensor in still.tensors.items()}

    quiet = Network(tensors, WORLD)
    with pytest.raises(ValueError, match="nothing to learn"):
        distil(small(rounds=0), quiet, tmp_path)


def test_too_costly_a_rule_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 1 operations") as caught:
        distil(small(contexts=1, rounds=0, terms=(4,), most_path=1), teacher(), tmp_path)
    assert "\n" not in str(caught.value)
