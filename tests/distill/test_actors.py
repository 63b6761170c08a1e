"""Actors: rules decide as their controllers do in the packet engine; tables; who acts on a link."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.congestion import base as b
from policies.congestion import steering
from policies.congestion.asking import TABLE
from policies.congestion.base import CONTROLLERS
from policies.congestion.interval_features import MEMORY, NAMES
from policies.congestion.rule_inputs import (
    EMPTY,
    INPUTS,
    KINDS,
    NUMBERS,
    WIDTH,
    begin_inputs,
    update_inputs,
)
from policies.congestion.steering import Steered
from policies.congestion.symbolic import FOLDER
from policies.distill.actors import (
    Actor,
    Branched,
    ByLink,
    OnObservations,
    OnTable,
    RuleActor,
    Tables,
    as_actor,
)
from policies.distill.entrants import load
from policies.distill.judge import judge_on
from policies.distill.teacher_config import corrected_links
from policies.distill.worlds import CORRECTED, LEGACY, World, seeds_of
from policies.rules.evaluate import evaluate
from policies.rules.parse import parse_rule, read_rule
from policies.rules.rule import Rule
from sim.net import luck
from sim.net.engine.run import Session
from sim.net.envs import pcc_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from sim.net.scenario import Flow
from tests.congestion.test_learned import CASES, STEPS, link_scenario
from tests.congestion.test_symbolic import BUSY, CONSTANT, rule_controller

GENTLE = (FOLDER / "gentle.rule").read_text(encoding="utf-8")
TERMS = [f"{(-1) ** i * 0.07} * tanh({name})" for i, name in enumerate(INPUTS)]
# Every input of the table, and an action that may leave [-1, 1].
WHOLE = "\n".join(
    [
        "triptych-rule 1",
        "name whole",
        "action [-1.5, 2]",
        *(f"input {name} [{low}, {high}]" for name, (low, high, _) in INPUTS.items()),
        f"({' + '.join(TERMS[::2])}) + ({' + '.join(TERMS[1::2])})",
    ]
)
RULES = {"gentle": GENTLE, "busy": BUSY, "whole": WHOLE}


def world_of(**changes: Any) -> World:
    return World(CORRECTED, corrected_links(**{"steps": 30, **changes}))


def rule_of(text: str, **words: Any) -> Rule:
    return parse_rule(text.format(**words) if words else text)


def constant(action: float) -> Rule:
    return rule_of(CONSTANT, action=action, low=-1, high=1)


def links_begun(world: World, count: int, seed: int = 0) -> Batch:
    batch = world.batch(count)
    batch.seed(list(seeds_of("train", seed, count)))
    batch.begin()
    return batch


def moves(step: int, count: int) -> np.ndarray:
    return np.random.default_rng(step).uniform(-1.0, 1.0, (count, 1))


# --- rules


def drive(batch: Batch, actor: Actor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Step a batch of one by an actor; return its rows, rates and actions."""
    rows, rates, actions = [], [], []
    actor.begin(batch)
    for _ in range(STEPS):
        action = actor.act(batch)
        batch.step(action[:, None])
        rows.append(batch.state["row"][0].copy())
        rates.append(float(batch.state["rate"][0]))
        actions.append(float(np.clip(action[0], -1.0, 1.0)))
    return np.array(rows), np.array(rates), np.array(actions)


def environment_of(config: EnvConfig, controller: type[Steered], seed: int) -> tuple[Batch, Any]:
    """Return a batch of one and the packet engine's session on the same link with the same luck."""
    batch = Batch(pcc_kernel, config, 1)
    batch.seed(seed)
    pcc_kernel.start(batch.state, np.ones(1, np.bool_), batch.known)
    scenario = link_scenario(batch, controller, config.attribution)
    flow = scenario.flows[0]
    assert isinstance(flow, Flow)
    told = {"min_bps": config.rate_bps[0], "max_bps": config.rate_bps[1], "delta": config.delta}
    told |= {
        name: getattr(config, name)
        for name in ("interval_rtts", "interval_packets", "warmup_intervals")
    }
    flow = replace(flow, parameters={**flow.parameters, **told})
    scenario = replace(scenario, flows=(flow,))
    batch.state["losses"] = luck.seeds(scenario)["loss"]
    batch.finish_start()
    return batch, Session(scenario)


def settings_of(**changes: Any) -> EnvConfig:
    """Return an environment whose bound by its link's capacity is out of reach."""
    fields: dict[str, Any] = {"most_share": 1e5, "rate_bps": (1e4, 2e8), **changes}
    return EnvConfig(**fields)


def assert_same_life(
    config: EnvConfig, controller: type[Steered], actor: OnTable | Branched, seed: int
) -> tuple[np.ndarray, Batch, Session]:
    """Every interval, action and rate, and the table in the end, are the same bits.

    Returns:
        The actions; environment and engine as they are in the end.
    """
    batch, session = environment_of(config, controller, seed)
    rows, rates, actions = drive(batch, actor)
    for _ in range(config.warmup_intervals):
        assert session.run_until_interval(0) is not None
    compared = [i for i, n in enumerate(b.INTERVAL) if n != "rtt_slope" or n in config.features]
    for k in range(STEPS):
        state = session.state(0)
        assert state[steering.ACTION] == actions[k], f"seed {seed}, action {k}"
        assert state[b.PACING_BPS] == rates[k], f"seed {seed}, rate {k}"
        told = session.run_until_interval(0)
        assert told is not None
        np.testing.assert_array_equal(told[compared], rows[k][compared], f"{seed}, row {k}")
    table = actor.tables.current(batch)[0]
    np.testing.assert_array_equal(session.state(0)[TABLE : TABLE + WIDTH], table)
    return actions, batch, session


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("case", CASES)
def test_a_rule_decides_as_its_controller_in_the_packet_engine(
    case: str, name: str, attribution: str, tmp_path: Path
) -> None:
    config = settings_of(attribution=attribution, **CASES[case])
    controller, moved = rule_controller(tmp_path, RULES[name]), 0
    for seed in range(2):
        actions, *_ = assert_same_life(config, controller, RuleActor(controller.rule), seed)
        moved += len(np.unique(actions))
    assert moved > (4 if name == "gentle" else 10), "the rule hardly acted"


@pytest.mark.parametrize("name", ["rule_linear", "rule_tree", "symbolic", "symbolic_branched"])
def test_rules_that_ship_decide_in_the_judge_as_in_the_packet_engine(name: str) -> None:
    controller, rule = CONTROLLERS.get(name), load(name)
    assert isinstance(rule, Rule)
    config = settings_of(bandwidth_bps=(1e6, 3e7), loss=(0.0, 0.1), start_share=(0.1, 1.5))
    lives = [assert_same_life(config, controller, RuleActor(rule), seed) for seed in range(3)]
    assert len(np.unique([actions for actions, *_ in lives])) > 3, "the rule hardly acted"


@pytest.mark.parametrize("name", RULES)
def test_many_links_at_once_are_each_the_rule_on_its_table(name: str) -> None:
    rule, batch = parse_rule(RULES[name]), links_begun(world_of(loss=(0.0, 0.3)), 9)
    actor, tables = RuleActor(rule), Tables()
    actor.begin(batch)
    tables.begin(9)
    for _ in range(20):
        actions, table = actor.act(batch), tables.current(batch)
        for action, row in zip(actions, table, strict=True):
            assert action == evaluate(rule, dict(zip(INPUTS, row, strict=True)))
        batch.step(actions[:, None])


def test_an_input_that_the_table_lacks_is_named() -> None:
    rule = rule_of(CONSTANT.replace("loss", "los_slow"), action=0, low=-1, high=1)
    with pytest.raises(ValueError, match=r"rule constant: .*los_slow.*did you mean 'loss_slow'"):
        RuleActor(rule)


# --- tables


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
def test_tables_are_those_of_each_link_apart_over_ends_of_episodes(attribution: str) -> None:
    world = world_of(steps=7, attribution=attribution, loss=(0.0, 0.4))
    batch, tables, count = links_begun(world, 6), Tables(), 6
    tables.begin(count)
    apart = np.zeros((count, WIDTH + 3))
    for row in apart:
        begin_inputs(row, 2)
    for step in range(25):
        np.testing.assert_array_equal(tables.current(batch), apart[:, 2:-1])
        batch.step(moves(step, count))
        for i, row in enumerate(apart):
            state = batch.state[i]
            update_inputs(row, 2, state["row"], *(float(state[name]) for name in MEMORY))
            if batch.truncated[i]:
                begin_inputs(row, 2)
    assert (apart[:, :2] == 0.0).all()
    assert (apart[:, -1] == 0.0).all()


def test_the_values_in_tables_are_what_the_environment_observes() -> None:
    """As float32, from the first decision on and over the ends of episodes."""
    names = tuple(NAMES[number] for number in NUMBERS)
    world = world_of(steps=11, features=names, history=1, loss=(0.0, 0.4))
    batch, tables = links_begun(world, 70), Tables()
    tables.begin(70)
    values = [KINDS * i for i in range(len(NUMBERS))]
    for step in range(30):
        found = tables.current(batch)[:, values].astype(np.float32)
        np.testing.assert_array_equal(found, batch.observations)
        batch.step(moves(step, 70))


def test_tables_begin_anew() -> None:
    world, tables = world_of(), Tables()
    for count in (5, 3):
        batch = links_begun(world, count)
        tables.begin(count)
        assert (tables.current(batch) == np.array(EMPTY)).all()
        batch.step(moves(0, count))
        assert tables.current(batch).shape == (count, WIDTH)
        assert (tables.values != np.array(EMPTY)).any(axis=1).all()


def test_tables_of_other_links_are_refused() -> None:
    tables, batch = Tables(), links_begun(world_of(), 4)
    tables.begin(3)
    batch.step(moves(0, 4))
    with pytest.raises(ValueError, match="begun for 3 links, not 4"):
        tables.take_in(batch)
    assert len(tables.values) == 3


def test_an_environment_without_rows_is_refused() -> None:
    world = World(LEGACY, EnvConfig.legacy(steps=5))
    with pytest.raises(ValueError, match="PccLegacy-v0: tells no rows"):
        judge_on(RuleActor(constant(0.0)), world, [1, 2])


def test_a_policy_cannot_change_what_the_table_remembers() -> None:
    seeds = seeds_of("test", 0, 8)

    def honest(table: np.ndarray) -> np.ndarray:
        return np.tanh(table[:, 5] - table[:, 9])

    def greedy(table: np.ndarray) -> np.ndarray:
        answer = honest(table)
        table[:] = 0.0
        return answer

    one, other = (judge_on(OnTable(policy), world_of(), seeds) for policy in (honest, greedy))
    assert (one.reward == other.reward).all()


# --- who acts


def test_functions_of_observations_are_actors() -> None:
    def policy(seen: np.ndarray) -> np.ndarray:
        return 2.0 - seen.sum(axis=1, keepdims=True)

    actor = as_actor(policy)
    assert isinstance(actor, OnObservations)
    assert as_actor(actor) is actor
    batch = links_begun(world_of(), 5)
    actor.begin(batch)
    expected = 2.0 - batch.observations.sum(axis=1)
    actions = actor.act(batch)
    assert actions.dtype == np.float64
    assert (actions == expected).all()


@pytest.mark.parametrize("kind", [OnObservations, OnTable])
@pytest.mark.parametrize("shape", [(3,), (5, 2), (), (5, 1, 1)])
def test_answers_of_another_shape_are_refused(kind: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"answered with shape .* for 5 links"):
        judge_on(kind(lambda seen: np.zeros(shape)), world_of(), list(range(5)))


def by_parity(table: np.ndarray) -> np.ndarray:
    """Return 0 or 1 for each link, by its round trip; 0 while that is not known."""
    return np.floor(table[:, WIDTH - 3]).astype(int) % 2


def test_branches_take_turns_and_remember_what_others_did() -> None:
    batch, count = links_begun(world_of(steps=50), 40), 40
    rules = [parse_rule(GENTLE), parse_rule(BUSY)]
    branched = Branched(by_parity, [RuleActor(rule) for rule in rules])
    tables = Tables()
    branched.begin(batch)
    tables.begin(count)
    turns = []
    for _ in range(40):
        actions, table = branched.act(batch), tables.current(batch)
        labels = by_parity(table)
        for i, label in enumerate(labels):
            inputs = dict(zip(INPUTS, table[i], strict=True))
            assert actions[i] == evaluate(rules[label], inputs)
        turns.append(labels)
        batch.step(actions[:, None])
    assert (np.ptp(turns, axis=0) == 1).any()


def test_one_branch_for_all_is_that_actor() -> None:
    seeds, world = seeds_of("test", 3, 12), world_of()
    gentle, busy = (parse_rule(text) for text in (GENTLE, BUSY))
    alone = judge_on(RuleActor(busy), world, seeds)
    for both in (
        Branched(lambda table: np.ones(len(table), int), [RuleActor(gentle), RuleActor(busy)]),
        ByLink([1] * 12, [RuleActor(gentle), RuleActor(busy)]),
        ByLink([0] * 12, [RuleActor(busy)]),
    ):
        assert (judge_on(both, world, seeds).reward == alone.reward).all()


def test_links_of_one_label_fare_as_under_its_actor_alone() -> None:
    seeds, world = seeds_of("test", 4, 70), world_of()
    labels = np.random.default_rng(0).integers(3, size=70)

    def up(seen: np.ndarray) -> np.ndarray:
        return 1.5 - seen.max(axis=1)

    actors = [RuleActor(parse_rule(GENTLE)), up, RuleActor(constant(-0.25))]
    alone = [judge_on(actor, world, seeds).reward for actor in actors]
    found = judge_on(ByLink(labels, actors), world, seeds).reward
    assert (found == np.stack(alone)[labels, np.arange(70)]).all()
    assert len(set(labels)) == 3


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros(4, int),
        np.zeros((5, 1), int),
        np.zeros(5),
        np.full(5, np.nan),
        np.full(5, 2),
        np.array([0, 1, 0, -1, 0]),
        np.array(["0"] * 5),
        np.zeros(5, bool),
    ],
)
def test_labels_that_name_no_actor_are_refused(answer: np.ndarray) -> None:
    actors = [RuleActor(constant(0.0)), RuleActor(constant(0.1))]
    with pytest.raises(ValueError, match=r"decide: must be whole numbers of 0 to 1, one for each"):
        judge_on(Branched(lambda table: answer, actors), world_of(), list(range(5)))
    with pytest.raises(ValueError, match=r"labels: "):
        judge_on(ByLink(answer, actors), world_of(), list(range(5)))


def test_actors_must_be_some_and_apart() -> None:
    twice = RuleActor(constant(0.0))
    for actors in ([], [twice, twice]):
        with pytest.raises(ValueError, match="actors: at least one, each an object of its own"):
            ByLink([0, 1], actors)
        with pytest.raises(ValueError, match="actors: at least one, each an object of its own"):
            Branched(by_parity, actors)


def test_the_gentle_rule_is_read_from_its_file() -> None:
    assert parse_rule(GENTLE) == read_rule(FOLDER / "gentle.rule")


def test_an_action_that_is_not_chosen_does_not_matter() -> None:
    seeds = seeds_of("test", 5, 6)
    broken = OnObservations(lambda seen: np.full(len(seen), np.nan))
    found = judge_on(ByLink([1] * 6, [broken, RuleActor(constant(0.0))]), world_of(), seeds)
    assert (found.reward == judge_on(RuleActor(constant(0.0)), world_of(), seeds).reward).all()
    with pytest.raises(ValueError, match=r"action\[2\] = nan is not a finite number"):
        judge_on(ByLink([1, 1, 0, 1, 1, 1], [broken, RuleActor(constant(0.0))]), world_of(), seeds)
