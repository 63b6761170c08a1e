"""Parameters of a distillation: presets, checks, links by purpose, and what it should take."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.congestion.rule_inputs import INPUTS
from policies.distill.distil_config import (
    PRESETS,
    PURPOSES,
    SCALE_FREE,
    ChoiceSettings,
    DistilConfig,
    links_for,
    preset,
)
from policies.distill.distil_plan import expected_seconds
from policies.distill.operon import OperonSettings
from policies.distill.refine import RefineSettings
from policies.distill.teacher_config import preset as training
from policies.distill.worlds import SPLITS, seeds_of
from policies.registry import UnknownNameError
from policies.rules.syntax import RuleError
from sim.net.problems import ScenarioError
from tests.distill.small_distil import small


def test_presets_are_sound_and_json() -> None:
    for name in PRESETS:
        config = preset(name, seed=3)
        config.check()
        assert config.seed == 3
        assert json.loads(json.dumps(config.as_json(), allow_nan=False))["name"] == config.name
    names = {name: preset(name).name for name in PRESETS}
    assert names == {
        "symbolic": "symbolic",
        "branched": "symbolic_branched",
        "linear": "linear",
        "tree": "tree",
    }
    assert preset("branched").contexts == 4
    with pytest.raises(UnknownNameError, match="did you mean 'symbolic'"):
        preset("symbolik")


def test_scale_free_inputs_are_all_but_three() -> None:
    assert len(SCALE_FREE) == len(INPUTS) - 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world": training("legacy").world}, "world must be of triptych/Pcc-v1"),
        ({"specialists": 1}, "specialists must be true or false"),
        ({"seed": -1}, "seed must be"),
        ({"contexts": 0}, "contexts must be"),
        ({"contexts": 4}, "decider_leaves must be an integer of 4"),
        ({"rounds": -1}, "rounds must be"),
        ({"every": 41}, "every must be"),
        ({"links_per_round": 1}, "links_per_round must be"),
        ({"kept_links": True}, "kept_links must be"),
        ({"mix": 1.0}, "mix must be"),
        ({"mix": float("nan")}, "mix must be"),
        ({"rows": 1}, "rows must be"),
        ({"links_per_round": 50_000, "every": 1}, r"links_per_round \* steps / every must be"),
        ({"terms": ()}, "terms must be a tuple of sizes"),
        ({"terms": (1, 99)}, r"terms\[1\] must be"),
        ({"leaves": (0,)}, r"leaves\[0\] must be"),
        ({"inputs": ()}, "inputs must be a tuple of names"),
        ({"inputs": "loss"}, "inputs must be a tuple of names"),
        ({"inputs": ("loss", "loss")}, "inputs has a name twice"),
        ({"balances": ()}, "balances must be a tuple of numbers"),
        ({"most_path": 0}, "most_path must be"),
        ({"choice": ChoiceSettings(1, 1)}, "choice: links must be"),
        ({"quick_choice": ChoiceSettings(8, 0)}, "quick_choice: shortlist must be"),
    ],
)
def test_bad_fields_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=f"DistilConfig: {message}"):
        small(**change).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ("los",)}, "unknown name in inputs 'los'; did you mean 'loss'"),
        ({"by": ("bandwidth",)}, "did you mean 'bandwidth_bps'"),
        ({"method": "operom"}, "did you mean 'operon'"),
    ],
)
def test_unknown_names_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        small(**change).check()


@pytest.mark.parametrize("balance", [-0.1, 1.1, float("nan"), True, "1"])
def test_balances_are_from_0_to_1(balance: Any) -> None:
    with pytest.raises(ValueError, match="a balance must be from 0 to 1"):
        small(balances=(0.5, balance)).check()


def test_parts_are_checked_too() -> None:
    with pytest.raises(RuleError, match="rule name"):
        small(name="not a name").check()
    with pytest.raises(ScenarioError, match="RefineSettings: sigma"):
        small(last=RefineSettings(sigma=-1.0)).check()
    with pytest.raises(ScenarioError, match="OperonSettings: population"):
        small(operon=replace(OperonSettings(), population=0)).check()


def test_links_have_one_purpose_each() -> None:
    drawn = {(purpose, n): links_for(purpose, 0, 50, n) for purpose in PURPOSES for n in range(2)}
    every = [seed for seeds in drawn.values() for seed in seeds]
    every += [seed for split in SPLITS for seed in seeds_of(split, 0, 50)]
    assert len(set(every)) == len(every)
    assert links_for("choice", 0, 20) == drawn["choice", 0][:20]
    assert links_for("choice", 1, 20) != drawn["choice", 0][:20]
    assert "test" not in PURPOSES.values()
    with pytest.raises(UnknownNameError, match="did you mean 'choice'"):
        links_for("choise", 0, 1)


def test_the_defaults_take_less_than_25_minutes() -> None:
    branched = expected_seconds(preset("branched"), 4)
    assert 600.0 < sum(branched.values()) < 25 * 60.0
    assert sum(expected_seconds(preset("symbolic"), 1).values()) < 10 * 60.0
    assert sum(expected_seconds(preset("linear"), 1).values()) < 5 * 60.0
    assert all(seconds > 0.0 for seconds in branched.values())


def test_the_plan_knows_what_is_left_out() -> None:
    assert "exploration" not in expected_seconds(small(), 2, to_find=False)
    assert "exploration" in expected_seconds(small(), 2)
    assert "refined" not in expected_seconds(small(last=None), 2)
    assert "branch-0" not in expected_seconds(small(refine=None), 2)
    assert "branch-0" not in expected_seconds(DistilConfig(), 1)
    more = expected_seconds(small(rounds=3), 2)
    assert {"rollouts-3", "front-3-1", "round-3"} <= set(more)
    assert "rollouts-4" not in more
