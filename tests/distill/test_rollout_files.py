"""Files of roll-outs tell the truth, or are refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.congestion.networks import read_safetensors
from policies.congestion.rule_inputs import INPUTS, WIDTH
from policies.distill.rollouts import (
    MOST_LINKS,
    MOST_ROWS,
    Rollouts,
    collect,
    read_rollouts,
    write_rollouts,
)
from policies.distill.storage import digest_of, write_tensors
from tests.distill.rollout_samples import WORLD, content, made, seeds, timid, wilful

CONDITIONS = ("bandwidth_bps", "delay_s", "queue_packets", "loss_probability")


@given(links=st.integers(0, 6), rows=st.integers(0, 20), seed=st.integers(0, 99))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(links: int, rows: int, seed: int, tmp_path: Path) -> None:
    path, written = tmp_path / "r.safetensors", made(links, rows if links else 0, seed)
    write_rollouts(path, written, {"seed": seed, "share": "not mine to say"})
    assert content(read_rollouts(path)) == content(written)
    assert json.loads(path.with_suffix(".json").read_text())["seed"] == seed


def test_a_collection_survives_its_files(tmp_path: Path) -> None:
    path, written = tmp_path / "r.safetensors", collect(WORLD, wilful, seeds(30), timid, every=4)
    write_rollouts(path, written, {})
    assert content(read_rollouts(path)) == content(written)


def described(path: Path, **changes: Any) -> None:
    """Change the description, and let it vouch for whatever lies at `path`."""
    told = json.loads(path.with_suffix(".json").read_text())
    told = {**told, "sha256": digest_of(path), **changes}
    path.with_suffix(".json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "no roll-outs of format 1"),
        ({"format": None}, "no roll-outs of format 1"),
        ({"conditions": []}, "no roll-outs of format 1"),
        ({"inputs": list(INPUTS)[1:]}, "other inputs than rules have now"),
        ({"inputs": list(reversed(INPUTS))}, "other inputs than rules have now"),
        ({"inputs": None}, "other inputs than rules have now"),
        ({"sha256": "0" * 64}, "is not the file whose sha256"),
        ({"share": [0.5] * 3}, r"r\.safetensors: .*links: must be finite numbers of 0 to 2"),
        ({"share": [0.5] * 5}, "condition 'bandwidth_bps': must be of shape"),
        ({"share": [0.5, 0.5, 0.5, float("nan")]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, float("inf")]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, None]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, True]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, "1"]}, "share: must be a list of finite"),
        ({"share": [[0.5], [0.5], [0.5], [1]]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, 10**400]}, "share: must be a list of finite"),
        ({"share": "many"}, "share: must be a list of finite"),
        ({"share": [0.5] * (MOST_LINKS + 1)}, "share: must be a list of finite"),
        ({"conditions": {"x\ny" * 99: [1.0]}}, r"condition 'x\\ny.*: must be of shape"),
        ({"conditions": {"x\ny": 1.0}}, r"condition 'x\\ny': must be a list"),
    ],
)
def test_a_changed_description_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(4, 30), {})
    described(path, **change)
    with pytest.raises(ValueError, match=message) as caught:
        read_rollouts(path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"', "\x00"])
def test_a_description_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(2, 5), {})
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match=r"r\.json: "):
        read_rollouts(path)


def test_files_that_were_swapped_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    write_rollouts(one, made(4, 10, 1), {})
    write_rollouts(two, made(4, 10, 2), {})
    one.write_bytes(two.read_bytes())
    with pytest.raises(ValueError, match=r"one\.safetensors: is not the file whose sha256"):
        read_rollouts(one)
    assert len(read_rollouts(two)) == 10


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    with pytest.raises(FileNotFoundError, match=r"r\.json"):
        read_rollouts(path)
    write_rollouts(path, made(2, 5), {})
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"r\.safetensors"):
        read_rollouts(path)


TENSORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "tensors must be": lambda of: of.pop("steps"),
    "tensors must be inputs": lambda of: of.update(more=np.zeros(1, np.float32)),
    "inputs: must be of shape": lambda of: of.update(inputs=of["inputs"][1:]),
    "inputs: must be of shape .10, 31.": lambda of: of.update(inputs=of["inputs"].T),
    "links: must be of shape": lambda of: of.update(links=of["links"][1:]),
    "links: must be of shape .*": lambda of: of.update(links=of["links"].reshape(2, 5)),
    "links: must be whole numbers": lambda of: of["links"].__setitem__(0, 0.5),
    "links: must be whole": lambda of: of["links"].__setitem__(0, 1e30),
    "links: must be finite numbers of 0 to 3": lambda of: of["links"].__setitem__(0, 4),
    "steps: must be finite numbers of 0": lambda of: of["steps"].__setitem__(0, -1),
    "steps: must be whole": lambda of: of["steps"].__setitem__(0, 2.0**25),
    "labels: must be finite": lambda of: of["labels"].__setitem__(0, -1.25),
    "labels: must be of shape": lambda of: of.update(labels=np.zeros((2, 5), np.float32)),
}


@pytest.mark.parametrize("message", TENSORS)
def test_tensors_that_are_no_rows_are_refused(message: str, tmp_path: Path) -> None:
    """Even where the description vouches for them."""
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(4, 10), {})
    tensors = read_safetensors(path)
    TENSORS[message](tensors)
    write_tensors(path, tensors)
    described(path)
    with pytest.raises(ValueError, match=message) as caught:
        read_rollouts(path)
    assert str(caught.value).startswith(str(path))


@given(data=st.data(), vouched=st.booleans())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_mutated_files_are_refused_or_sound(
    data: st.DataObject, vouched: bool, tmp_path: Path
) -> None:
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(3, 4), {})
    original = path.read_bytes()
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        mutated = mutated[: data.draw(st.integers(0, len(mutated)))]
    path.write_bytes(bytes(mutated))
    if vouched:
        described(path)
    try:
        found = read_rollouts(path)
    except ValueError as caught:
        said = str(caught)
        assert str(tmp_path) in said
    else:
        said = ""
        assert vouched or bytes(mutated) == original
        assert np.isfinite(found.inputs).all()
        assert (np.abs(found.labels) <= 1.0).all()
    assert "\n" not in said


@pytest.mark.parametrize(("links", "rows"), [(1, MOST_ROWS + 1), (MOST_LINKS + 1, 1)])
def test_more_than_a_file_holds_is_not_written(links: int, rows: int, tmp_path: Path) -> None:
    zeros = np.zeros(rows, np.int32)
    many = Rollouts(
        np.zeros((rows, WIDTH), np.float32),
        zeros.astype(np.float32),
        zeros,
        zeros,
        {},
        np.zeros(links),
    )
    with pytest.raises(ValueError, match="but a file holds 450000 of 20000; thin them"):
        write_rollouts(tmp_path / "r.safetensors", many, {})
    assert not list(tmp_path.iterdir())


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    zeros, path = np.zeros(MOST_ROWS, np.int32), tmp_path / "r.safetensors"
    inputs = np.zeros((MOST_ROWS, WIDTH), np.float32)
    share = np.full(MOST_LINKS, -1.2345678901234567e-05)
    conditions = dict.fromkeys(CONDITIONS, share)
    most = Rollouts(inputs, zeros.astype(np.float32), zeros, zeros, conditions, share)
    write_rollouts(path, most, {"seeds": [2**62] * MOST_LINKS})
    assert (read_rollouts(path).share == share).all()


def test_what_is_told_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_rollouts(tmp_path / "r.safetensors", made(2, 3), {"score": float("nan")})
