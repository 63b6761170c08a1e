"""Trainings: they learn, repeat to the byte, and go on after a stop as if it had not been."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies.distill.checkpoint import NAME
from policies.distill.episodes import Episodes
from policies.distill.judge import judge
from policies.distill.learner import Learner, fixed_threads
from policies.distill.teacher import Row, Trained, train
from policies.distill.teacher_config import corrected, preset
from policies.distill.worlds import seeds_of
from policies.registry import UnknownNameError
from sim.net.problems import ScenarioError
from tests.distill.small import VARIANTS, small


class InterruptedHereError(Exception):
    """Stands for a kill."""


def essence(trained: Trained) -> tuple[Any, ...]:
    """Return all that must repeat: weights as bytes and the curve without its times."""
    networks = (trained.network, trained.last)
    weights = [{n: t.tobytes() for n, t in network.tensors.items()} for network in networks]
    rows = [asdict(row) | {"seconds": 0.0} for row in trained.rows]
    return weights, rows, trained.best_steps, trained.steps


# paper: symbolicpcc teacher
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_seed_makes_the_same_bytes(variant: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = train(small(variant), tmp_path / "a")
    torch.manual_seed(2)
    threads = torch.get_num_threads()
    two = train(small(variant), tmp_path / "b")
    assert essence(one) == essence(two)
    assert torch.get_num_threads() == threads
    assert [row.steps for row in one.rows] == [0, 1024, 2048, 3072]
    other = train(small(variant, seed=1), tmp_path / "c")
    assert essence(other)[0] != essence(one)[0]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("row", [2, 3])
def test_a_resumed_training_equals_an_uninterrupted_one(
    variant: str, row: int, tmp_path: Path
) -> None:
    config = small(variant)
    told: list[Row] = []

    def stop(found: Row) -> None:
        told.append(found)
        if len(told) == row:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        train(config, tmp_path / "a", stop)
    assert (tmp_path / "a" / NAME).exists()
    resumed = train(config, tmp_path / "a", told.append)
    assert essence(resumed) == essence(train(config, tmp_path / "b"))
    # The row during which it was stopped came before its checkpoint, so it was made again.
    assert [found.steps for found in told] == [
        *range(0, 1024 * row, 1024),
        *(1024 * k for k in range(row - 1, 4)),
    ]


def test_a_longer_training_begins_like_a_shorter_one(tmp_path: Path) -> None:
    short = train(small("legacy", total_steps=1024), tmp_path / "a")
    long = train(small("legacy"), tmp_path / "b")
    assert [replace(r, seconds=0.0) for r in short.rows] == [
        replace(r, seconds=0.0) for r in long.rows[:2]
    ]


def test_a_finished_training_is_read_again(tmp_path: Path) -> None:
    config = small("legacy")
    first = train(config, tmp_path)
    told: list[Row] = []
    again = train(config, tmp_path, told.append)
    assert essence(first) == essence(again)
    assert not told
    assert again.rows == first.rows


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    train(small("legacy"), tmp_path)
    with pytest.raises(ValueError, match="another gamma; choose another folder"):
        train(small("legacy", gamma=0.9), tmp_path)
    with pytest.raises(ValueError, match="another world; choose another folder"):
        train(small("corrected"), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "is not a checkpoint of format 1"),
        ({"config": 3}, "is not a checkpoint"),
        ({"tensors": "../../etc/passwd"}, "is not the name of a file beside it"),
        ({"tensors": "absent.safetensors"}, "remove .* to train anew"),
        ({"sha256": ""}, "whose sha256 it tells"),
        ({"ages": [0] * 16}, "does not come back"),
        ({"ages": [1, 2]}, "remove .* to train anew"),
        ({"episodes": "many"}, "remove .* to train anew"),
        ({"rows": [{}]}, "remove .* to train anew"),
        ({"lessons": None}, "remove .* to train anew"),
        ({"batches": None}, "remove .* to train anew"),
    ],
)
def test_a_damaged_checkpoint_is_one_message(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = small("legacy", total_steps=1024)
    train(config, tmp_path)
    told = json.loads((tmp_path / NAME).read_text()) | change
    (tmp_path / NAME).write_text(json.dumps(told))
    with pytest.raises(ValueError, match=message) as caught:
        train(config, tmp_path)
    assert "\n" not in str(caught.value)


def test_cut_tensors_are_one_message(tmp_path: Path) -> None:
    config = small("legacy", total_steps=1024)
    train(config, tmp_path)
    [path] = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="is not the file whose sha256"):
        train(config, tmp_path)


@pytest.mark.extensive
def test_it_learns(tmp_path: Path) -> None:
    """In a twenty-fourth of PCC-RL's steps."""
    steps = 20 * 8192
    config = corrected(total_steps=steps, evaluate_every=steps, validation_links=100)
    first, last = train(config, tmp_path).rows
    assert last.score > first.score + 0.2
    assert last.validation_utilisation > first.validation_utilisation + 0.2


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_is_what_the_environment_and_the_policy_say(variant: str) -> None:
    """Rewards, values, probabilities and advantages, computed once more in the plain way."""
    # So small a step leaves the weights, so that the policy of the batch can be asked afterwards.
    config = small(variant, learning_rate=1e-30, reward_scale=0.5)
    with fixed_threads():
        learner = Learner(config)
        lesson = learner.practise(0)
    buffer: Any = learner.rollout_buffer
    count, world = config.parallel, config.world
    twin = Episodes(world.batch(count), seeds_of("train", config.seed, count))
    policy = learner.policy
    rewards, nexts, alive, ideals = [], [], [], []
    for step in range(buffer.buffer_size):
        assert (buffer.observations[step] == twin.batch.observations).all()
        ideals.append(world.ideal_rewards(twin.links).mean())
        over = twin.step(buffer.actions[step, :, 0])
        rewards.append(0.5 * twin.batch.rewards)
        seen = np.where(over[:, None], twin.batch.final, twin.batch.observations)
        with torch.no_grad():
            nexts.append(policy.predict_values(torch.from_numpy(seen))[:, 0].numpy())
        alive.append(~over)
    assert lesson.reward == pytest.approx(2.0 * np.mean(rewards), rel=1e-5)
    assert lesson.ideal == pytest.approx(np.mean(ideals), rel=1e-12)
    flat = torch.from_numpy(buffer.observations.reshape(-1, world.inputs))
    with torch.no_grad():
        values, log_probs, _ = policy.evaluate_actions(
            flat, torch.from_numpy(buffer.actions.reshape(-1, 1))
        )
    assert buffer.log_probs.ravel() == pytest.approx(log_probs.numpy(), abs=1e-5)
    assert buffer.values.ravel() == pytest.approx(values[:, 0].numpy(), abs=1e-5)
    expected = np.zeros(count)
    for step in reversed(range(buffer.buffer_size)):
        delta = rewards[step] + config.gamma * nexts[step] - buffer.values[step]
        expected = delta + config.gamma * config.gae_lambda * alive[step] * expected
        assert buffer.advantages[step] == pytest.approx(expected, abs=2e-4, rel=1e-4)
    assert buffer.returns == pytest.approx(buffer.advantages + buffer.values)


def test_minibatches_make_up_the_batch() -> None:
    learner = Learner(small("legacy"))
    buffer: Any = learner.rollout_buffer
    size = buffer.buffer_size * buffer.n_envs
    buffer.values[:] = np.arange(size).reshape(buffer.values.shape)
    buffer.order = np.random.default_rng(0)
    parts = [part.old_values.numpy() for part in buffer.get(100)]
    assert [len(part) for part in parts] == [100] * 5 + [12]
    assert sorted(np.concatenate(parts)) == list(range(size))
    assert (np.diff(np.concatenate(parts)) != 1).mean() > 0.9


def test_the_first_policy_is_pcc_rls_in_shape() -> None:
    with fixed_threads():
        network = Learner(replace(preset("legacy"), parallel=2, batch_steps=2048)).network()
    assert network.sizes == (30, 32, 16, 1)
    assert network.tensors["log_std"] == [0.0]
    first = network.tensors["w0"].astype(float)
    # Orthogonal with gain sqrt(2): of 30 x 32, the rows are.
    assert first @ first.T == pytest.approx(2.0 * np.eye(30), abs=1e-5)
    assert np.linalg.norm(network.tensors["w2"]) == pytest.approx(0.01, rel=1e-4)


def test_it_goes_on_from_a_policy_and_is_never_worse(tmp_path: Path) -> None:
    config = small("corrected", total_steps=1024)
    first = train(replace(config, seed=5), tmp_path / "first").network
    assert Learner(config, first).network().digest == first.digest
    found = train(config, tmp_path / "next", first=first)
    fresh = train(config, tmp_path / "fresh")
    start = judge(first, config.world, config.validation_links)
    assert found.rows[0].validation_median == pytest.approx(start.share_median().value)
    assert found.best_row.score >= found.rows[0].score != fresh.rows[0].score
    assert found.last.digest != first.digest
    again = train(config, tmp_path / "next", first=first)
    assert again.network.digest == found.network.digest
    for other in (None, fresh.network):
        with pytest.raises(ValueError, match="another first policy; choose another folder"):
            train(config, tmp_path / "next", first=other)
    with pytest.raises(ValueError, match=r"first: its layers are .* those of the training"):
        Learner(replace(config, hidden=(3,)), first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_steps": 0}, "total_steps must be an integer of 1"),
        ({"parallel": 7}, "parallel must divide batch_steps = 512, got 7"),
        ({"minibatch": 500}, "minibatch must divide batch_steps"),
        ({"hidden": ()}, "layers in hidden must be an integer of 1"),
        ({"hidden": (3, 0)}, r"hidden\[1\] must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"gamma": 1.0}, "gamma must be"),
        ({"seed": -1}, "seed must be an integer of 0"),
    ],
)
def test_bad_parameters_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=f"TeacherConfig: {message}"):
        train(small("legacy", **change), tmp_path)
    assert not list(tmp_path.iterdir())


def test_presets() -> None:
    config = preset("legacy")
    assert config.batches == 481
    assert config.sizes == (30, 32, 16, 1)
    assert json.loads(json.dumps(config.as_json()))["world"]["config"]["delta"] == 0.025
    with pytest.raises(UnknownNameError, match="did you mean 'corrected'"):
        preset("correct")
