"""Laws of the judge, and what the published weights reach."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies.congestion.symbolic import FOLDER
from policies.distill.actors import Policy, RuleActor
from policies.distill.judge import Judged, begun, judge, judge_on
from policies.distill.teacher_config import corrected, corrected_links, legacy
from policies.distill.weights import published_network
from policies.distill.worlds import CORRECTED, LEGACY, World, seeds_of
from policies.rules.parse import parse_rule, read_rule
from sim.net.envs.config import EnvConfig
from tests.distill.small import network_of


def still(seen: np.ndarray) -> np.ndarray:
    """Leave the rate as it is."""
    return np.zeros(len(seen))


def at_capacity(environment: str, share: float = 1.0, **changes: Any) -> World:
    """Return links whose first rate is a share of the capacity."""
    own = EnvConfig.legacy if environment == LEGACY else corrected_links
    changes = {"start_share": (share, share), "loss": (0.0, 0.0), "steps": 100, **changes}
    return World(environment, own(**changes))


def test_sending_at_capacity_is_the_ideal_on_pcc_v1() -> None:
    """To within a packet at an interval's edges and the nanosecond that gaps are rounded to."""
    judged = judge(still, at_capacity(CORRECTED), links=100)
    assert judged.share == pytest.approx(np.ones(100), abs=0.02)
    assert judged.utilisation == pytest.approx(np.ones(100), abs=0.02)
    assert judged.inflation == pytest.approx(np.zeros(100), abs=1e-3)
    assert (judged.loss == 0.0).all()


def test_random_loss_does_not_lower_the_ideal_on_pcc_v1() -> None:
    judged = judge(still, at_capacity(CORRECTED, 0.98, loss=(0.05, 0.1), steps=400), links=100)
    assert judged.share.mean() == pytest.approx(0.98, abs=0.01)
    random_loss = judged.links["loss_probability"]
    assert judged.loss == pytest.approx(random_loss, abs=0.03)
    assert judged.utilisation == pytest.approx(0.98 * (1.0 - random_loss), abs=0.03)


def test_sending_at_capacity_is_almost_the_ideal_of_pcc_rl() -> None:
    """Which counts a packet less in every interval, and so less on the shortest."""
    judged = judge(still, at_capacity(LEGACY), links=200)
    assert 0.9 < judged.share_ratio().value < 1.0
    assert judged.inflation == pytest.approx(np.zeros(200), abs=1e-6)


@pytest.mark.parametrize("environment", [LEGACY, CORRECTED])
def test_half_the_capacity_is_half_the_use(environment: str) -> None:
    judged = judge(still, at_capacity(environment, 0.5), links=100)
    assert judged.utilisation.mean() == pytest.approx(0.5, abs=0.01)
    assert judged.share_ratio().value < 0.55


def test_too_much_fills_the_queue() -> None:
    world = at_capacity(CORRECTED, 1.5, queue_log=(4.0, 6.0), steps=200)
    judged = judge(still, world, links=50)
    assert judged.loss.mean() == pytest.approx(1.0 / 3.0, abs=0.07)
    assert judged.inflation.mean() > 0.5
    assert judged.share_ratio().high < 0.9


@pytest.mark.extensive
def test_the_published_weights_keep_nine_tenths_on_the_median_link() -> None:
    network = published_network()
    judged = judge(network, network.world, links=500, split="test")
    median = judged.share_median()
    assert median.value == pytest.approx(0.90, abs=0.02)
    assert median.low <= median.value <= median.high
    assert judged.share_ratio().value < median.value


def test_policies_meet_the_same_links_whatever_they_do() -> None:
    world = replace(corrected().world, config=corrected_links(steps=30))
    one = judge(still, world, links=20)
    other = judge(lambda seen: np.full((len(seen), 1), -1.0), world, links=20)
    more = judge(still, world, links=40)
    for name, values in one.links.items():
        assert (values == other.links[name]).all()
        assert (values == more.links[name][:20]).all()
    assert (one.reward == more.reward[:20]).all()
    assert (one.reward != other.reward).all()
    for apart in (judge(still, world, 20, "test"), judge(still, world, 20, seed=1)):
        assert (apart.links["bandwidth_bps"] != one.links["bandwidth_bps"]).all()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda seen: np.zeros(3), r"shape \(3,\) for 5"),
        (lambda seen: np.zeros((len(seen), 2)), r"shape \(5, 2\) for 5"),
        (lambda seen: np.full(len(seen), np.nan), r"action\[0\] = nan is not a finite number"),
    ],
)
def test_bad_answers_are_refused(policy: Policy, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(policy, legacy().world, links=5)


def test_a_policy_cannot_change_what_the_environment_remembers() -> None:
    world = replace(corrected().world, config=corrected_links(steps=30))

    def greedy(seen: np.ndarray) -> np.ndarray:
        answer = 2.0 - seen.sum(axis=1)
        seen[:] = 0.0
        return answer

    honest = judge(lambda seen: 2.0 - seen.sum(axis=1), world, links=10)
    assert (judge(greedy, world, links=10).reward == honest.reward).all()


def judged_of(reward: list[float], ideal: list[float]) -> Judged:
    ones = np.ones(len(reward))
    return Judged({}, np.array(reward), np.array(ideal), ones, np.nan * ones, ones)


def test_statistics_and_intervals() -> None:
    luck = np.random.default_rng(0)
    reward = luck.normal(80.0, 10.0, 400)
    judged = judged_of(reward.tolist(), [100.0] * 400)
    for found in (judged.share_median(), judged.share_ratio()):
        assert found.low < found.value < found.high
        assert found.value == pytest.approx(0.8, abs=0.02)
    ratio = judged.share_ratio()
    half = 1.96 * reward.std() / 100.0 / np.sqrt(400)  # of a mean of independent links
    assert (ratio.high - ratio.low) / 2.0 == pytest.approx(half, rel=0.1)
    assert judged.share_ratio() == ratio


def test_a_link_without_a_gain_has_no_share() -> None:
    judged = judged_of([1.0, -5.0, 3.0], [2.0, -1.5, 4.0])
    assert np.isnan(judged.share[1])
    assert judged.share_median().value == pytest.approx(0.625)
    assert judged.share_ratio().value == pytest.approx(-1.0 / 4.5)
    with pytest.raises(ValueError, match="inflation: no link has a value"):
        judged.mean("inflation")


@pytest.mark.parametrize("environment", [LEGACY, CORRECTED])
def test_a_judging_is_this_loop(environment: str) -> None:
    """Written out, interval by interval and link by link, to the bit."""
    own = EnvConfig.legacy if environment == LEGACY else corrected_links
    world = World(environment, own(steps=60))
    network, seeds = network_of(world), seeds_of("test", 2, 70)
    judged = judge_on(network, world, seeds)
    batch = world.batch(70)
    batch.seed(seeds)
    batch.begin()
    links, told = batch.links(), []
    for _ in range(60):
        batch.step(np.asarray(network(batch.observations)).reshape(70, 1))
        told.append({"reward": batch.rewards, **batch.measures()})
    for i in range(70):
        reward = used = inflation = loss = 0.0
        rtts = 0
        for step in told:
            reward += step["reward"][i]
            used += step["throughput_bps"][i] / links["bandwidth_bps"][i]
            loss += step["loss"][i]
            if step["latency_s"][i] > 0.0:
                inflation += step["latency_s"][i] / world.base_rtts_s(links)[i] - 1.0
                rtts += 1
        assert judged.reward[i] == reward
        assert judged.ideal[i] == 60 * world.ideal_rewards(links)[i]
        assert judged.utilisation[i] == used / 60
        assert judged.loss[i] == loss / 60
        assert judged.inflation[i] == inflation / rtts
    again = judge(network, world, 70, "test", 2)
    for name in ("reward", "ideal", "utilisation", "inflation", "loss"):
        assert (getattr(again, name) == getattr(judged, name)).all()


def test_a_rule_that_leaves_the_rate_is_judged_as_the_function_that_does() -> None:
    world = replace(corrected().world, config=corrected_links(steps=30))
    text = "triptych-rule 1\nname still\naction [-1, 1]\ninput loss [0, 1]\n0"
    rule, function = judge(RuleActor(parse_rule(text)), world, 20), judge(still, world, 20)
    for name in ("reward", "ideal", "utilisation", "inflation", "loss"):
        np.testing.assert_array_equal(getattr(rule, name), getattr(function, name))


def test_a_rules_links_do_not_depend_on_those_beside_them() -> None:
    world = replace(corrected().world, config=corrected_links(steps=40))
    actor, seeds = RuleActor(read_rule(FOLDER / "gentle.rule")), seeds_of("train", 5, 90)
    many = judge_on(actor, world, seeds)
    for count in (1, 7, 64):
        few = judge_on(actor, world, seeds[:count])
        for name in ("reward", "ideal", "utilisation", "inflation", "loss"):
            np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:count])
        for name, values in begun(world, seeds[:count]).links().items():
            assert (values == many.links[name][:count]).all()


def test_without_seeds_there_is_nothing_to_judge() -> None:
    for seeds in ([], np.zeros(0, np.int64)):
        with pytest.raises(ValueError, match="seeds: there must be at least one"):
            judge_on(still, corrected().world, seeds)
