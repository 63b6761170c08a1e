"""Links by split, ideal rewards, and worlds as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distill.teacher_config import corrected_links
from policies.distill.worlds import CORRECTED, LEGACY, SPLITS, World, seeds_of
from policies.registry import UnknownNameError
from sim.net.envs.config import EnvConfig

WORLDS = [World(LEGACY, EnvConfig.legacy()), World(CORRECTED, corrected_links())]


def test_splits_are_disjoint_and_grow_at_their_ends() -> None:
    many = {split: seeds_of(split, 0, 500) for split in SPLITS}
    assert len({seed for seeds in many.values() for seed in seeds}) == 1500
    for split, seeds in many.items():
        assert seeds_of(split, 0, 20) == seeds[:20]
        assert seeds_of(split, 1, 20) != seeds[:20]


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'validation'"):
        seeds_of("validate", 0, 1)


def test_the_ideal_of_pcc_rl_is_its_reward_at_capacity() -> None:
    world = WORLDS[0]
    links = {
        "bandwidth_bps": np.array([300 * 12e3, 100 * 12e3]),
        "delay_s": np.array([0.1, 0.5]),
        "loss_probability": np.array([0.05, 0.0]),
    }
    expected = [1e-3 * (10 * 300 * 0.95 - 1e3 * 0.2 - 2e3 * 0.05), 1e-3 * (10 * 100 - 1e3)]
    assert world.ideal_rewards(links) == pytest.approx(expected)
    assert world.base_rtts_s(links) == pytest.approx([0.2, 1.0])


def test_the_ideal_of_the_corrected_environment_is_one() -> None:
    links = {
        "bandwidth_bps": np.array([1e6]),
        "delay_s": np.array([0.01]),
        "loss_probability": np.array([0.1]),
    }
    assert WORLDS[1].ideal_rewards(links) == [1.0]
    assert WORLDS[1].base_rtts_s(links) == pytest.approx([0.02 + 1514 * 8e-6])


@pytest.mark.parametrize("world", WORLDS)
def test_json_round_trip(world: World) -> None:
    written = json.loads(json.dumps(world.as_json(), allow_nan=False))
    assert World.from_json(written, "here") == world


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"historie": 3}, "'historie': no such field"),
        ({"history": 0}, "history must be an integer of 1"),
        ({"features": ["loss", "send rate"]}, r"features\[1\] = 'send rate' is unknown"),
        ({"features": 7}, "features must be a tuple"),
        ({"log_delay": "yes"}, "log_delay must be true or false"),
        ({"delay_s": [0.1]}, "delay_s must be"),
        ({"delta": float("nan")}, "delta must be"),
        ({"bandwidth_bps": ["fast", "faster"]}, r"bandwidth_bps\[0\]"),
    ],
)
def test_bad_fields_are_named(change: dict[str, Any], message: str) -> None:
    value = WORLDS[1].as_json()
    value["config"] |= change
    with pytest.raises(ValueError, match=f"here: .*{message}"):
        World.from_json(value, "here")


@pytest.mark.parametrize("value", [None, [], {}, {"config": 3}, {"environment": "x", "config": {}}])
def test_what_is_no_world_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="here: "):
        World.from_json(value, "here")


def test_an_unknown_environment_is_named() -> None:
    value = WORLDS[1].as_json() | {"environment": "triptych/Pcc-v2"}
    with pytest.raises(ValueError, match="did you mean 'triptych/Pcc-v1'"):
        World.from_json(value, "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(field=st.sampled_from(sorted(WORLDS[1].as_json()["config"])), value=JSON)
def test_any_value_in_a_field_is_taken_or_refused(field: str, value: Any) -> None:
    told = WORLDS[1].as_json()
    told["config"][field] = value
    changed = tuple(value) if isinstance(value, list) else value
    expected = replace(WORLDS[1], config=replace(WORLDS[1].config, **{field: changed}))
    try:
        found: Any = World.from_json(told, "here")
    except ValueError as caught:
        found = str(caught)
    assert found == expected or (isinstance(found, str) and found.startswith("here: "))
