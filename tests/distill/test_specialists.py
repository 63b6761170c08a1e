"""Specialists: trained on links of their context, answering for them, kept with their contexts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.distill import train_specialists as command
from policies.distill.checkpoint import NAME
from policies.distill.contexts import Context, find_contexts, label, read_contexts
from policies.distill.judge import begun, judge
from policies.distill.specialists import (
    CONTEXTS,
    ContextTeachers,
    read_specialists,
    specialised,
    train_specialists,
    write_specialists,
)
from policies.distill.storage import digest_of
from policies.distill.teacher import train
from policies.distill.teacher_config import corrected
from policies.distill.weights import Network, read_network, write_network
from policies.distill.worlds import seeds_of
from tests.distill.small import network_of, small

QUIET = Context({"loss_probability": (-math.inf, 0.04)})
LOSSY_SLOW = Context({"loss_probability": (0.04, math.inf), "bandwidth_bps": (-math.inf, 1e7)})
LOSSY_FAST = Context({"loss_probability": (0.04, math.inf), "bandwidth_bps": (1e7, math.inf)})
BOXES = (QUIET, LOSSY_SLOW, LOSSY_FAST)
WORLD = small("corrected").world


def networks_of(contexts: tuple[Context, ...] = BOXES) -> tuple[Network, ...]:
    return tuple(network_of(c.world(WORLD), seed=number) for number, c in enumerate(contexts))


def bytes_of(network: Network) -> dict[str, bytes]:
    return {name: tensor.tobytes() for name, tensor in network.tensors.items()}


# paper: symbolicpcc specialists
def test_each_link_is_answered_by_the_network_of_its_context() -> None:
    links = begun(WORLD, seeds_of("train", 0, 80)).links()
    teachers = ContextTeachers(BOXES, networks_of(), links)
    seen = np.random.default_rng(0).normal(size=(80, WORLD.inputs)).astype(np.float32)
    answers = teachers(seen)
    labels = label(BOXES, links)
    assert set(labels) == {0, 1, 2}
    for place, number in enumerate(labels):
        alone = networks_of()[number](seen[place : place + 1])
        assert answers[place] == pytest.approx(alone[0], rel=1e-12)
    assert (teachers.labels == labels).all()


def test_a_policy_of_one_context_is_its_network() -> None:
    """Also to the judge, which knows nothing of contexts."""
    network = network_of(WORLD)
    links = begun(WORLD, seeds_of("validation", 0, 12)).links()
    judged = judge(network, WORLD, 12)
    for name, values in judged.links.items():
        assert (links[name] == values).all()
    ours = judge(ContextTeachers((Context({}),), (network,), links), WORLD, 12)
    assert (ours.reward == judged.reward).all()


def test_what_does_not_belong_together_is_refused() -> None:
    links = begun(WORLD, seeds_of("train", 0, 9)).links()
    with pytest.raises(ValueError, match="2 networks for 3 contexts"):
        ContextTeachers(BOXES, networks_of()[:2], links)
    with pytest.raises(ValueError, match="lies in 0 of 2 contexts"):
        ContextTeachers(BOXES[1:], networks_of()[1:], links)
    teachers = ContextTeachers(BOXES, networks_of(), links)
    with pytest.raises(ValueError, match="8 observations of 9 links"):
        teachers(np.zeros((8, WORLD.inputs), np.float32))
    with pytest.raises(ValueError, match=r"shape must be \(n, 30\)"):
        teachers(np.zeros((9, 29), np.float32))


def test_each_is_trained_on_links_of_its_context(tmp_path: Path) -> None:
    config = small("corrected", total_steps=1024)
    told: list[tuple[int, int]] = []
    networks = train_specialists(
        BOXES, config, tmp_path, lambda number, row: told.append((number, row.steps))
    )
    assert told == [(number, steps) for number in range(3) for steps in (0, 1024)]
    for context, network in zip(BOXES, networks, strict=True):
        own = specialised(context, config)
        assert network.world == own.world == context.world(WORLD)
        alone = train(own, tmp_path / "alone" / str(BOXES.index(context)))
        assert bytes_of(network) == bytes_of(alone.network)
        assert replace(own, world=config.world) == config


def test_what_is_finished_is_not_trained_again(tmp_path: Path) -> None:
    config = small("corrected", total_steps=1024)
    first = train_specialists(BOXES[:1], config, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob(NAME)}
    told: list[int] = []
    again = train_specialists(BOXES[:2], config, tmp_path, lambda number, _: told.append(number))
    assert bytes_of(again[0]) == bytes_of(first[0])
    assert set(told) == {1}
    assert len(list(tmp_path.rglob(NAME))) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    train_specialists(BOXES[:1], replace(config, gamma=0.9), tmp_path)  # gets a folder of its own
    assert len(list(tmp_path.rglob(NAME))) == 3
    train_specialists(BOXES[:1], config, tmp_path, first=first[0])  # so does this
    assert len(list(tmp_path.rglob(NAME))) == 4


def test_a_context_without_links_is_refused(tmp_path: Path) -> None:
    nothing = Context({"loss_probability": (0.5, 0.6)})
    with pytest.raises(ValueError, match=r"no link of loss \(0.0, 0.1\)"):
        train_specialists((nothing,), small("corrected"), tmp_path)
    assert not list(tmp_path.iterdir())


def written(folder: Path, contexts: tuple[Context, ...] = BOXES) -> Path:
    networks = networks_of(contexts)
    each = [{"seed": number} for number in range(len(networks))]
    write_specialists(folder, contexts, networks, {"command": "x"}, each)
    return folder


def test_round_trip(tmp_path: Path) -> None:
    contexts, networks = read_specialists(written(tmp_path))
    assert contexts == BOXES == read_contexts(tmp_path / CONTEXTS)
    for ours, theirs in zip(networks, networks_of(), strict=True):
        assert bytes_of(ours) == bytes_of(theirs)
        assert ours.world == theirs.world
    assert json.loads((tmp_path / CONTEXTS).read_text())["command"] == "x"
    assert json.loads((tmp_path / "specialist_2.json").read_text())["seed"] == 2


def test_specialists_of_more_contexts_go(tmp_path: Path) -> None:
    (tmp_path / "teacher_corrected.safetensors").write_bytes(b"not mine")
    written(written(tmp_path), (Context({}),))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("contexts.json", "specialist_0.json", "specialist_0.safetensors"),
        "teacher_corrected.safetensors",
    ]
    assert read_specialists(tmp_path)[0] == (Context({}),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specialists": None}, "must be a list of one file per context"),
        ({"specialists": [{}]}, "must be a list of one file per context"),
        ({"specialists": [1, 2, 3]}, r"specialist_0\.safetensors: is not the file"),
        ({"specialists": [{"sha256": "0"}] * 3}, r"specialist_0\.safetensors: is not the file"),
        ({"contexts": [{}]}, "must be a list of one file per context"),
        ({"contexts": [{}, {}, {}]}, "contexts 0 and 1 overlap"),
    ],
)
def test_a_changed_file_of_contexts_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path) / CONTEXTS
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as caught:
        read_specialists(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_networks_of_other_contexts_are_refused(tmp_path: Path) -> None:
    """Also where the digests are right: of a network on links that its context does not hold."""
    written(tmp_path)
    for world in (WORLD, BOXES[1].world(WORLD)):
        path = tmp_path / "specialist_0.safetensors"
        write_network(path, network_of(world), {})
        told = json.loads((tmp_path / CONTEXTS).read_text())
        told["specialists"][0]["sha256"] = digest_of(path)
        (tmp_path / CONTEXTS).write_text(json.dumps(told))
        with pytest.raises(ValueError, match="links that context 0 does not hold"):
            read_specialists(tmp_path)


@pytest.mark.extensive
def test_the_command_finds_trains_chooses_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "TEST_LINKS", 6)
    teacher = tmp_path / "teacher.safetensors"
    write_network(teacher, network_of(WORLD), {})
    out = tmp_path / "weights"
    words = ["--contexts", "2", "--by", "loss_probability", "--find-links", "40", "--seeds", "2"]
    words += ["--steps", "8192", "--links", "4", "--teacher", str(teacher)]
    words += ["--out", str(out), "--work", str(tmp_path / "work")]
    assert command.main(words) == 0
    contexts, networks = read_specialists(out)
    judged = judge(read_network(teacher), WORLD, 40, "train", 1)
    assert contexts == find_contexts(judged.links, judged.share, 2, ["loss_probability"])
    told = json.loads((out / CONTEXTS).read_text())
    assert told["by"] == ["loss_probability"]
    assert sum(told["links"]) == 40
    assert told["mean_share"] == sorted(told["mean_share"], reverse=True)
    assert told["teacher"]["sha256"] == digest_of(teacher)
    for number, network in enumerate(networks):
        said = json.loads((out / f"specialist_{number}.json").read_text())
        assert said["command"].startswith(f"python -m {command.MODULE} --contexts 2 --by")
        names = ("validation_share_median", "validation_share_ratio_of_means")
        best = max(said["seeds"], key=lambda one: sum(one[name] for name in names))
        assert said["seed"] == best["seed"]
        again = judge(network, network.world, 6, "test", 1)
        assert best["test"] == command.summary(again)
        theirs = judge(read_network(teacher), network.world, 6, "test", 1)
        assert said["teacher_on_the_same_links"] == command.summary(theirs)
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert command.main(words) == 0  # from the checkpoints
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files
    assert "chosen on validation links" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--teacher", "absent.safetensors"], "absent"),
        (["--seeds", "0"], "seeds must be an integer of 1"),
        (["--find-links", "-3"], "find_links must be an integer of 1"),
    ],
)
def test_the_command_says_what_is_wrong(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*words, "--out", str(tmp_path / "x"), "--work", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "--by loss_probability" in shown
    assert "test links" in shown


def test_contexts_of_the_corrected_world_can_all_be_trained_on() -> None:
    """Of a made-up share, with as many contexts as the experiments ask for at most."""
    world = corrected().world
    links = begun(world, seeds_of("train", 1, 300)).links()
    share = np.random.default_rng(0).normal(size=300) + np.log(links["delay_s"])
    for context in find_contexts(links, share, 8):
        config = specialised(context, corrected())
        config.check()
        assert context.world(config.world) == config.world
