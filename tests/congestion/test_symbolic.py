"""A rule acts in both engines as its text says; the hand-written one holds a link, gently."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.congestion import base as b
from policies.congestion import rule_inputs, steering
from policies.congestion.asking import TABLE
from policies.congestion.base import CONTROLLERS
from policies.congestion.networks import packed
from policies.congestion.shipped import made
from policies.congestion.symbolic import FOLDER, Symbolic
from policies.distill.branches import Branches
from policies.distill.entrants import ENTRANTS, load
from policies.distill.weights import Network
from policies.rules.evaluate import evaluate
from policies.rules.parse import read_rule
from sim.net.engine.run import Session, simulate
from sim.net.links import Bernoulli, Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.congestion import pipe
from tests.congestion.conformance import ControllerConformance
from tests.net.test_engines import assert_equal

# Inputs in another order than the table's, one that the formula does not use, and every construct.
BUSY = """triptych-rule 1
name busy
action [-0.9, 1]
input sent_packets [0, 20]
input min_rtt_ms [0.001, 10000]
input send_ratio_change [-10, 10]
input loss_slow [0, 1]
input latency_ratio [1, 100]
input received_mbps [0, 10000]

if latency_ratio / max(1, sqrt(send_ratio_change + 10)) < 0.4
then tanh(exp(-latency_ratio) * 3 - loss_slow) - 0.05 * log(min_rtt_ms)
else if sent_packets >= 4 then min(1, abs(loss_slow - 0.2)) else -0.3 * latency_ratio
"""
CONSTANT = """triptych-rule 1
name constant
action [{low}, {high}]
input loss [0, 1]
{action}
"""


def rule_controller(folder: Path, text: str) -> type[Symbolic]:
    path = folder / "made.rule"
    path.write_text(text, encoding="utf-8")

    class Made(Symbolic, rule=path):
        """A rule that a test wrote."""

        name = "made"

    return Made


class TestBusyRule(ControllerConformance):
    """The laws of all controllers, for a rule with every construct."""

    @cached_property
    def it(self) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return rule_controller(Path(folder), BUSY)


def scenario(
    controller: Any, mbps: float = 10.0, rtt_ms: float = 40.0, loss: float = 0.0, kb: float = 1000.0
) -> Scenario:
    queue = DropTail(bytes=int(kb * 1000))
    link = Link(Constant(mbps * 1e6), int(rtt_ms * 5e5), queue, Bernoulli(loss))
    flow = Flow(controller, start_rate_bps=2e6)
    return Scenario((link,), (flow,), 40 * SECOND, seed=2, measure_from_ns=20 * SECOND)


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
def test_decisions_are_those_of_the_text(attribution: str, tmp_path: Path) -> None:
    """Rule, table and steering by their own words, over the intervals that an engine reports."""
    controller = rule_controller(tmp_path, BUSY)
    links = (Link(Constant(8e6), 20_000_000, DropTail(packets=30), Bernoulli(0.03)),)
    flow = Flow(controller, start_rate_bps=4e6, attribution=attribution)
    session = Session(Scenario(links, (flow,), 30 * SECOND, seed=1))
    rate, actions = 4e6, []
    while len(actions) < 150:
        assert session.run_until_interval(0) is not None
        state = session.state(0)
        if state[steering.WARMUP_LEFT] > 0.0:
            assert state[b.PACING_BPS] == rate
            continue
        table = state[TABLE : TABLE + rule_inputs.WIDTH]
        action = evaluate(controller.rule, dict(zip(rule_inputs.INPUTS, table, strict=True)))
        assert state[steering.ACTION] == action
        rate = min(max(rate * 1.05**action, 1e4), 1e10)
        assert state[b.PACING_BPS] == pytest.approx(rate, rel=1e-12)
        rate = float(state[b.PACING_BPS])
        actions.append(action)
    assert len(np.unique(actions)) > 50


def test_the_first_decision_is_on_the_empty_table(tmp_path: Path) -> None:
    controller = rule_controller(tmp_path, BUSY)
    state, _ = pipe.start(controller, start_bps=2e6, warmup_intervals=0.0)
    empty = {name: bounds[2] for name, bounds in rule_inputs.INPUTS.items()}
    assert state[steering.ACTION] == evaluate(controller.rule, empty)


@pytest.mark.parametrize(
    ("action", "low", "high", "expected"),
    [("0.5", -1, 1, 0.5), ("7", -1, 1, 1.0), ("7", -1, 0.25, 0.25), ("-7", -3, 3, -1.0)],
)
def test_actions_are_clamped(
    action: str, low: float, high: float, expected: float, tmp_path: Path
) -> None:
    controller = rule_controller(tmp_path, CONSTANT.format(action=action, low=low, high=high))
    state, _ = pipe.start(controller, start_bps=2e6, warmup_intervals=0.0, delta=0.1)
    assert state[b.PACING_BPS] == pytest.approx(2e6 * 1.1**expected)


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
def test_a_flow_that_counts_otherwise_is_a_controller_that_does(
    attribution: str, tmp_path: Path
) -> None:
    """Rates of arrival are taken by what the flow counts, not by what its class would count."""
    chosen, born = rule_controller(tmp_path, BUSY), rule_controller(tmp_path, BUSY)
    chosen.attribution = b.SENT if attribution == b.DURING else b.DURING
    born.attribution = attribution
    link = Link(Constant(8e6), 20_000_000, DropTail(packets=30), Bernoulli(0.03))
    flows = (
        Flow(chosen, start_rate_bps=4e6, attribution=attribution),
        Flow(born, start_rate_bps=4e6),
    )
    one, two = (simulate(Scenario((link,), (flow,), 10 * SECOND, seed=1)) for flow in flows)
    np.testing.assert_array_equal(one.totals, two.totals)
    np.testing.assert_array_equal(one.waits, two.waits)
    assert flows[0].constants()[steering.BY_SENT] == float(attribution == b.SENT)


def test_an_input_that_no_flow_has_is_named(tmp_path: Path) -> None:
    text = CONSTANT.format(action="0", low=-1, high=1).replace("loss", "los_slow")
    with pytest.raises(ValueError, match=r"made\.rule.*los_slow.*did you mean 'loss_slow'"):
        rule_controller(tmp_path, text)


def test_a_damaged_rule_is_refused_when_the_class_is_made(tmp_path: Path) -> None:
    for text in ("", "triptych-rule 2\n", BUSY[:200], BUSY.replace("tanh", "tan")):
        with pytest.raises(ValueError, match=r"made\.rule"):
            rule_controller(tmp_path, text)
    with pytest.raises(FileNotFoundError):

        class Missing(Symbolic, rule=tmp_path / "no.rule"):
            """There is no such file."""


def test_both_engines_run_it(tmp_path: Path) -> None:
    controller = rule_controller(tmp_path, BUSY)
    links = (Link(Constant(5e6), 10_000_000, DropTail(packets=20), Bernoulli(0.02)),)
    flows = (
        Flow(controller, start_rate_bps=3e6),
        Flow("rule_gentle", start_rate_bps=1e6, attribution=b.SENT),
        Flow("cubic", start_ns=300_000_000),
    )
    assert_equal(Scenario(links, flows, 2 * SECOND, seed=1))


# --- the rules that ship


RULES = sorted(path for path in FOLDER.glob("*.rule") if path.stem != "specialists")
"""Without the decider of the specialists, whose value is no action."""


def name_of(path: Path) -> str:
    own = path.stem.startswith("symbolic")
    return path.stem if own else f"rule_{path.stem}"


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_that_ship_are_controllers(path: Path) -> None:
    controller = CONTROLLERS.get(name_of(path))
    assert controller.rule == read_rule(path)
    assert controller.rule.name == path.stem
    assert (controller.rule.low, controller.rule.high) == (-1.0, 1.0)


def test_rules_have_the_same_names_as_entrants_of_the_corrected_world() -> None:
    distilled = set(ENTRANTS.names()) - {"rule_file"}
    assert distilled - set(CONTROLLERS.names()) == {f"teacher_pruned_{n}" for n in (50, 80, 90)}
    for name in ("rule_linear", "rule_tree", "symbolic", "symbolic_branched"):
        assert load(name) == CONTROLLERS.get(name).rule


def test_the_specialists_are_those_of_the_corrected_world() -> None:
    found, controller = load("specialists"), CONTROLLERS.get("specialists")
    assert isinstance(found, Branches)
    assert found.decider == controller.decider
    for network, trained in zip(found.policies, controller.trained, strict=True):
        assert isinstance(network, Network)
        np.testing.assert_array_equal(packed(network.tensors, network.sizes), trained.network)


def test_a_file_that_is_not_there_is_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"x\.rule: is not there; make it with `make x`"):
        made(tmp_path / "x.rule", "make x")


GENTLE_LINKS = {
    "slow": (4.0, 40.0, 0.0, 1000.0),
    "lossy": (10.0, 40.0, 0.05, 1000.0),
    "nominal": (30.0, 30.0, 0.0, 1000.0),
    "nominal, lossy": (30.0, 30.0, 0.08, 1000.0),
    "fast": (60.0, 20.0, 0.02, 1000.0),
    "shallow": (30.0, 30.0, 0.0, 50.0),
}


@pytest.mark.parametrize("name", GENTLE_LINKS)
def test_gentle_holds_a_link_without_a_standing_queue(name: str) -> None:
    mbps, rtt_ms, loss, kb = GENTLE_LINKS[name]
    result = simulate(scenario("rule_gentle", mbps, rtt_ms, loss, kb))
    # Random loss strikes before the queue and takes no capacity, so all of it can be used.
    assert result.goodput_bps()[0] * 1514 / 1448 > 0.95 * mbps * 1e6
    assert result.mean_wait_ns()[0] < 0.15 * rtt_ms * 1e6
    assert result.loss()[0] < loss + 0.01


def test_gentle_gives_way_where_much_is_lost() -> None:
    """Beyond its 12 % it falls to the least rate: what it is told to do, not a virtue."""
    result = simulate(scenario("rule_gentle", 10.0, 40.0, 0.25))
    assert result.goodput_bps()[0] < 1e6
