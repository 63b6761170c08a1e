"""Several networks and a decider act in the packet engine exactly as they do under the judge."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.congestion import base as b
from policies.congestion.base import CONTROLLERS
from policies.congestion.network_files import Trained
from policies.congestion.networks import forward
from policies.congestion.specialised import COLUMN, Specialised, on_interval
from policies.distill.actors import Branched
from policies.distill.branches import decide_by
from sim.net.engine.run import simulate
from sim.net.envs.config import EnvConfig
from sim.net.links import Bernoulli, Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.congestion import made_networks as made
from tests.congestion import pipe
from tests.congestion.conformance import ControllerConformance
from tests.congestion.test_learned import CASES
from tests.distill.test_actors import assert_same_life, settings_of
from tests.net.test_engines import assert_equal

# Answers between whole numbers, halves among them, which are rounded to even.
DECIDER = """triptych-rule 1
name which
action [0, 2]
input sent_packets [0, 20]
input loss_fast [0, 1]
input send_ratio_change [-10, 10]

if loss_fast > 0.1 then 0.5 + loss_fast
else if sent_packets < 3.5 then 2 else 1.5 + 10 * send_ratio_change
"""
NAMED = """triptych-rule 1
name named
action [0, {most}]
input loss [0, 1]
{answer}
"""


def networks_of(folder: Path, config: EnvConfig, count: int = 3) -> list[Path]:
    """Put networks of random weights, unlike in depth, into folders of their own."""
    inputs, found = len(config.features) * config.history, []
    for number in range(count):
        own = folder / str(number)
        own.mkdir(exist_ok=True)
        layers = [inputs, *[9, 7, 5][:number], 1]
        tensors = made.random_tensors(layers, number)
        found.append(made.write_network(own, config, tensors, layers))
    return found


def specialised(folder: Path, networks: list[Path], decider: str = DECIDER) -> type[Specialised]:
    path = folder / "which.rule"
    path.write_text(decider, encoding="utf-8")

    class Made(Specialised, decider=path, networks=networks):
        """Networks that a test made."""

        name = "made"

    return Made


def policy_of(trained: Trained) -> Callable[[Any], Any]:
    """Return a network as a function of observations, in the arithmetic of controllers."""
    values, inputs = np.zeros(sum(trained.layers)), trained.layers[0]

    def policy(observations: Any) -> Any:
        answers = np.empty(len(observations))
        for i, row in enumerate(observations):
            values[:inputs] = row
            answers[i] = values[forward(values, 0, trained.network, 0)]
        return answers

    return policy


def assert_as_judged(
    config: EnvConfig, controller: type[Specialised], seeds: range
) -> tuple[Any, Any]:
    """Engine and the judge's `Branched` agree to the bit, in the history of the end, too.

    Returns:
        All actions, and all answers of the decider.
    """
    decide, answers, lives = decide_by(controller.decider), [], []

    def noted(table: Any) -> Any:
        answers.append(decide(table))
        return answers[-1]

    for seed in seeds:
        actor = Branched(noted, [policy_of(one) for one in controller.trained])
        actions, batch, session = assert_same_life(config, controller, actor, seed)
        first = int(controller.constants({})[COLUMN])
        seen = session.state(0)[first : first + controller.trained[0].layers[0]]
        np.testing.assert_array_equal(seen, batch.observations[0].astype(np.float64))
        lives.append(actions)
    return np.concatenate(lives), np.concatenate(answers)


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
@pytest.mark.parametrize("case", CASES)
def test_engine_equals_the_judges_branches(case: str, attribution: str, tmp_path: Path) -> None:
    config = settings_of(attribution=attribution, **CASES[case])
    controller = specialised(tmp_path, networks_of(tmp_path, config))
    actions, answers = assert_as_judged(config, controller, range(2))
    assert len(np.unique(answers)) > 1, "one network made all decisions"
    assert len(np.unique(actions)) > 5, "the networks hardly acted"


def test_the_specialists_that_ship_act_as_in_the_judge() -> None:
    controller = CONTROLLERS.get("specialists")
    seen = {name: getattr(controller.trained[0], name) for name in ("features", "history")}
    config = settings_of(bandwidth_bps=(1e6, 1e8), loss=(0.0, 0.1), **seen)
    actions, answers = assert_as_judged(config, controller, range(4))
    assert len(np.unique(answers)) > 1, "one network made all decisions"
    assert len(np.unique(actions)) > 10, "the networks hardly acted"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_decider_of_one_mind_is_that_network_alone(number: int, tmp_path: Path) -> None:
    networks = networks_of(tmp_path, EnvConfig())
    always = specialised(tmp_path, networks, NAMED.format(most=2, answer=number))
    link = Link(Constant(8e6), 20_000_000, DropTail(packets=30), Bernoulli(0.02))
    flows = [Flow(c, start_rate_bps=4e6) for c in (always, made.controller_of(networks[number]))]
    one, two = (simulate(Scenario((link,), (flow,), 10 * SECOND, seed=1)) for flow in flows)
    np.testing.assert_array_equal(one.totals, two.totals)
    np.testing.assert_array_equal(one.waits, two.waits)


def test_the_first_action_is_on_an_empty_table(tmp_path: Path) -> None:
    """Only the first of two decisions knows of no packet."""
    config = EnvConfig(warmup_intervals=0)
    text = NAMED.format(most=1, answer="if sent_packets > 0 then 1 else 0")
    text = text.replace("input loss [0, 1]", "input sent_packets [0, 20]")
    networks = [tmp_path / "up", tmp_path / "down"]
    for folder, action in zip(networks, (0.5, -0.25), strict=True):
        folder.mkdir()
        made.constant_controller(folder, config, action)
    controller = specialised(tmp_path, [n / "made.safetensors" for n in networks], text)
    state, constants = pipe.start(controller, start_bps=2e6)
    assert state[b.PACING_BPS] == pytest.approx(2e6 * 1.05**0.5)
    on_interval(state, pipe.interval(start_ns=0, end_ns=1e7, sent=12.0), constants)
    assert state[b.PACING_BPS] == pytest.approx(2e6 * 1.05**0.25)


@pytest.mark.parametrize(
    ("most", "count", "message"),
    [
        (3, 3, r"which\.rule: action must lie within \[0, 2\], the numbers of 3 networks, got"),
        (2, 0, r"of 0 networks"),
    ],
)
def test_a_decider_that_may_name_no_network_is_refused(
    most: int, count: int, message: str, tmp_path: Path
) -> None:
    networks = networks_of(tmp_path, EnvConfig(), count)
    with pytest.raises(ValueError, match=message):
        specialised(tmp_path, networks, NAMED.format(most=most, answer=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history": 5, "features": ("loss", "packets", "send ratio") * 2}, "features must be"),
        ({"attribution": b.SENT}, "attribution must be those of made.safetensors, during, got"),
        ({"delta": 0.1}, "parameters must be those of"),
    ],
)
def test_networks_of_other_senders_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    networks = networks_of(tmp_path, EnvConfig(), 2)
    other = networks_of(tmp_path / "1", EnvConfig(**changes), 1)
    with pytest.raises(ValueError, match=message):
        specialised(tmp_path, [*networks, *other])


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    networks = networks_of(tmp_path, EnvConfig())
    for text in ("", DECIDER[:90], DECIDER.replace("loss_fast", "loss_fst")):
        with pytest.raises(ValueError, match=r"which\.rule"):
            specialised(tmp_path, networks, text)
    for path in networks:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        told["world"]["config"]["delta"] = 0.0
        path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ValueError, match=r"0/made\.json: .*delta must be in"):
        specialised(tmp_path, networks)
    networks[2].write_bytes(networks[2].read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"2/made\.safetensors: is not the file"):
        specialised(tmp_path, networks)
    networks[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"2/made\.safetensors"):
        specialised(tmp_path, networks)


class TestThreeNetworks(ControllerConformance):
    """The laws of all controllers, for networks unlike in depth and a decider between them."""

    @cached_property
    def it(self) -> Any:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            return specialised(folder, networks_of(folder, EnvConfig()))


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
def test_both_engines_run_it(attribution: str, tmp_path: Path) -> None:
    config = EnvConfig(attribution=attribution, interval_packets=4)
    controller = specialised(tmp_path, networks_of(tmp_path, config))
    links = (Link(Constant(5e6), 10_000_000, DropTail(packets=20), Bernoulli(0.02)),)
    flows = (Flow(controller, start_rate_bps=3e6), Flow("cubic", start_ns=300_000_000))
    assert_equal(Scenario(links, flows, 2 * SECOND, seed=1))
