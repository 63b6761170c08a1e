"""What is read of a network's two files, and which ones are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.congestion.network_files import read_trained
from sim.net.envs.config import EnvConfig
from tests.congestion import made_networks as made


def write_valid(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    config, layers = EnvConfig(history=2), [6, 4, 1]
    return made.write_network(folder, config, made.random_tensors(layers, 0), layers, changes)


def config_with(**changes: Any) -> dict[str, Any]:
    return {
        "environment": "triptych/Pcc-v1",
        "config": {**asdict(EnvConfig(history=2)), **changes},
    }


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    trained = read_trained(write_valid(tmp_path))
    assert trained.layers == (6, 4, 1)
    assert trained.features == EnvConfig().features
    assert (trained.history, trained.attribution) == (2, "during")
    assert trained.parameters == {
        "min_bps": 1e4,
        "max_bps": 1e10,
        "delta": 0.05,
        "interval_rtts": 0.5,
        "interval_packets": 10.0,
        "warmup_intervals": 2.0,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": None}, "world must be an object"),
        ({"world": {"environment": "triptych/Pcc-v1"}}, "world must be an object"),
        ({"world": {**config_with(), "environment": "triptych/PccLegacy-v0"}}, "PccLegacy-v0"),
        (
            {"world": config_with(features=["loss", "latency ration"])},
            "did you mean 'latency ratio'",
        ),
        ({"world": config_with(features=[["loss"]])}, r"features\[0\]"),
        ({"world": config_with(features="loss")}, "features must be a list"),
        ({"world": config_with(history=0)}, "history must be whole"),
        ({"world": config_with(history=True)}, "history must be whole"),
        ({"world": config_with(history=10**9)}, "history must be whole"),
        ({"world": config_with(attribution="both")}, "attribution must be"),
        ({"world": config_with(delta=None)}, "delta must be a finite number"),
        ({"world": config_with(delta=math.nan)}, "delta must be a finite number"),
        ({"world": config_with(delta=10**400)}, "delta must be a finite number"),
        ({"world": config_with(delta=5.0)}, "delta must be in"),
        ({"world": config_with(rate_bps=[1e6])}, "rate_bps must be"),
        ({"world": config_with(rate_bps=[1e6, 1e5])}, "max_bps must be in"),
        ({"world": config_with(rate_bps=["a", 1e5])}, r"rate_bps\[0\]"),
        ({"world": config_with(warmup_intervals=1.5)}, "warmup_intervals must be whole"),
        ({"layers": [6, 1]}, "w0 must have the shape"),
        ({"layers": [7, 4, 1]}, "from features x history = 6 inputs"),
        ({"layers": [6, 4, 2]}, "to 1 action"),
        ({"layers": [6, 10**7, 1]}, r"layers\[1\]"),
        ({"layers": 6}, "layers must be a list"),
        ({"layers": [6] * 100}, "layers must be a list"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_unsound_descriptions_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    weights = write_valid(tmp_path, changes)
    with pytest.raises(ValueError, match=message) as caught:
        made.controller_of(weights)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_not_a_json_object_is_refused(content: bytes, tmp_path: Path) -> None:
    weights = write_valid(tmp_path)
    weights.with_suffix(".json").write_bytes(content)
    with pytest.raises(ValueError, match=r"made\.json"):
        read_trained(weights)


def test_weights_that_were_swapped_are_refused(tmp_path: Path) -> None:
    weights = write_valid(tmp_path)
    weights.write_bytes(made.safetensors(made.random_tensors([6, 4, 1], 1)))
    with pytest.raises(ValueError, match="sha256"):
        read_trained(weights)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_descriptions_are_refused_or_read(data: Any, tmp_path: Path) -> None:
    path = write_valid(tmp_path).with_suffix(".json")
    text = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        if data.draw(st.booleans()):
            text[place] = data.draw(st.sampled_from(b'0123456789"[]{},:.-e truefalsn\xff'))
        else:
            del text[place : place + data.draw(st.integers(1, 20))]
        text = text or bytearray(b" ")
    path.write_bytes(bytes(text))
    try:
        found, problem = made.controller_of(path.with_suffix(".safetensors")), "made."
    except ValueError as error:
        found, problem = None, str(error)
    assert "made." in problem
    assert found is None or np.isfinite(found.constants({})).all()
