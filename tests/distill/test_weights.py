"""A network's two files: what is written is read, and what was tampered with is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.congestion.networks import read_safetensors
from policies.distill.storage import digest_of, write_tensors
from policies.distill.teacher_config import corrected, legacy
from policies.distill.weights import Network, published_network, read_network, write_network
from tests.distill.small import network_of

WORLD = corrected().world


@given(
    hidden=st.lists(st.integers(1, 9), min_size=1, max_size=5).map(tuple),
    seed=st.integers(0, 99),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(hidden: tuple[int, ...], seed: int, tmp_path: Path) -> None:
    network, path = network_of(WORLD, hidden, seed), tmp_path / "w.safetensors"
    write_network(path, network, {"seed": seed, "layers": "not mine to say"})
    read = read_network(path)
    assert read.world == WORLD
    assert read.sizes == (WORLD.inputs, *hidden, 1)
    assert {name: t.tobytes() for name, t in read.tensors.items()} == {
        name: t.tobytes() for name, t in network.tensors.items()
    }
    seen = np.random.default_rng(seed).normal(size=(7, WORLD.inputs)).astype(np.float32)
    assert (read(seen) == network(seen)).all()


def test_the_same_network_makes_the_same_bytes(tmp_path: Path) -> None:
    files = []
    made = network_of(WORLD)
    turned = Network(dict(reversed(made.tensors.items())), WORLD)  # as files have their own order
    for folder, network in (("a", made), ("b", network_of(WORLD)), ("c", turned)):
        path = tmp_path / folder / "w.safetensors"
        write_network(path, network, {"command": "x"})
        files.append((path.read_bytes(), path.with_suffix(".json").read_bytes()))
    assert files[0] == files[1] == files[2]


def test_a_decision_is_sums_and_tanh() -> None:
    network = network_of(WORLD, (3,))
    seen = np.random.default_rng(1).normal(size=(4, WORLD.inputs)).astype(np.float32)
    t = {name: value.astype(float) for name, value in network.tensors.items()}
    for row, action in zip(seen.astype(float), network(seen), strict=True):
        hidden = [math.tanh(float(row @ t["w0"][:, j] + t["b0"][j])) for j in range(3)]
        expected = sum(h * float(t["w1"][j, 0]) for j, h in enumerate(hidden)) + float(t["b1"][0])
        assert action == pytest.approx(expected, rel=1e-12)
    assert network.multiplications == 3 * WORLD.inputs + 3


def test_the_published_network_is_pcc_rls() -> None:
    network = published_network()
    assert network.sizes == (30, 32, 16, 1)
    assert network.multiplications == 1488
    assert network.world == legacy().world


def test_observations_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape must be \(n, 30\)"):
        network_of(WORLD)(np.zeros((2, 29), np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": ["loss"]}, "features is"),
        ({"history": 3}, "history is"),
        ({"delta": 0.5}, "delta is"),
        ({"layers": [30, 5, 1]}, "w1 must have the shape"),
        ({"layers": [30, 5, 4, 2]}, "lead from 30 inputs to 1 action"),
        ({"layers": [30, -5, 4, 1]}, "layers must be"),
        ({"layers": [30.0, 5, 4, 1]}, "layers must be"),
        ({"layers": [30] + [1] * 50}, "layers must be"),
        ({"layers": None}, "layers must be"),
        ({"sha256": "0" * 64}, "is not the file whose sha256"),
        ({"world": {}}, "world: must be an object"),
    ],
)
def test_a_changed_description_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    write_network(path, network_of(WORLD), {})
    told = json.loads(path.with_suffix(".json").read_text()) | change
    path.with_suffix(".json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=message) as caught:
        read_network(path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"', "\x00"])
def test_a_description_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_network(path, network_of(WORLD), {})
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match=r"w\.json: "):
        read_network(path)


def test_tensors_must_be_the_layers_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    network = network_of(WORLD)
    write_network(path, network, {})
    described = json.loads(path.with_suffix(".json").read_text())
    for tensors in (
        {**network.tensors, "w9": np.zeros((2, 2), np.float32)},
        {name: value for name, value in network.tensors.items() if name != "log_std"},
        {**network.tensors, "log_std": np.zeros(2, np.float32)},
    ):
        described["sha256"] = write_tensors(path, tensors)
        path.with_suffix(".json").write_text(json.dumps(described))
        with pytest.raises(ValueError, match="tensors must be"):
            read_network(path)


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_tensors_are_refused_or_sound(data: st.DataObject, tmp_path: Path) -> None:
    """Even where the description vouches for the mutated file."""
    path = tmp_path / "w.safetensors"
    write_network(path, network_of(WORLD, (2,)), {})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = (
        content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    )
    path.write_bytes(bytes(content))
    described = json.loads(path.with_suffix(".json").read_text())
    described["sha256"] = digest_of(path)
    path.with_suffix(".json").write_text(json.dumps(described))
    try:
        network = read_network(path)
    except ValueError as caught:
        said = str(caught)
    else:
        said = "nothing"
        assert np.isfinite(network(np.zeros((1, WORLD.inputs), np.float32))).all()
    assert "\n" not in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_written(value: float, tmp_path: Path) -> None:
    network = network_of(WORLD)
    network.tensors["w1"][0, 0] = value
    with pytest.raises(ValueError, match="tensor 'w1' must hold finite"):
        write_network(tmp_path / "w.safetensors", network, {})
    assert not list(tmp_path.iterdir())


def test_shapes_of_all_kinds_survive(tmp_path: Path) -> None:
    tensors = {
        "scalar": np.array(3.0, np.float32),
        "none": np.zeros((0, 4), np.float32),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    }
    path = tmp_path / "t.safetensors"
    write_tensors(path, tensors)
    read = read_safetensors(path)
    assert {name: t.shape for name, t in read.items()} == {n: t.shape for n, t in tensors.items()}
    assert all((read[name] == tensors[name]).all() for name in tensors)


def test_networks_are_compared_by_identity() -> None:
    assert isinstance(network_of(WORLD), Network)
    assert network_of(WORLD) != network_of(WORLD)
