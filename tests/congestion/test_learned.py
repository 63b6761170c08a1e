"""A network acts in the packet engine exactly as in the environment that it was trained in."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.congestion import base as b
from policies.congestion import steering
from policies.congestion.interval_features import FEATURES, NAMES
from policies.congestion.learned import INPUT, Learned
from policies.congestion.networks import forward, packed
from sim.net import luck
from sim.net.engine.run import Session
from sim.net.envs import pcc_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from sim.net.links import MAX_NS, Bernoulli, Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.congestion import made_networks as made
from tests.congestion import pipe
from tests.congestion.conformance import ControllerConformance
from tests.net.test_engines import assert_equal

STEPS = 80
MS = 1e6
CASES: dict[str, dict[str, Any]] = {
    "pcc": {},
    "all features": {"features": NAMES, "history": 3},
    "one interval": {"features": ("loss", "send ratio"), "history": 1, "delta": 0.2},
    "overload": {"start_share": (1.5, 3.0), "queue_log": (0.0, 3.0), "features": NAMES},
    "fast": {"bandwidth_bps": (3e7, 1e8), "delay_s": (0.0005, 0.005), "queue_log": (3.0, 6.0)},
    "lossy": {"loss": (0.2, 0.5), "start_share": (0.01, 0.1), "features": ("loss", "packets")},
    "time-outs": {"loss": (0.6, 0.9), "start_share": (0.01, 0.1), "interval_packets": 3},
    "no warm-up": {"warmup_intervals": 0},
    "long warm-up": {"warmup_intervals": 7, "interval_packets": 3, "interval_rtts": 0.9},
    "within limits": {"rate_bps": (1e6, 3e6), "delta": 0.5},
}


def link_scenario(batch: Batch, controller: Any, attribution: str) -> Scenario:
    """Return the link of a batch of one, as its episode begins, with a controller on it."""
    row = batch.state[0]
    queue, loss = DropTail(packets=int(row["limit"])), Bernoulli(float(row["loss"]))
    link = Link(Constant(float(row["capacity_bps"])), int(row["delay"]), queue, loss)
    flow = Flow(
        controller,
        packet_bytes=batch.config.packet_bytes,
        attribution=attribution,
        start_rate_bps=float(row["rate"]),
        parameters={"first_interval_ns": float(row["planned"])},
    )
    return Scenario((link,), (flow,), MAX_NS, seed=3)


def drive_environment(batch: Batch, controller: type[Learned]) -> tuple[Any, Any]:
    """Step the environment by the controller's network; return its rows and rates."""
    values, inputs = np.zeros(sum(controller.trained.layers)), controller.trained.layers[0]
    rows, rates = [], []
    for _ in range(STEPS):
        values[:inputs] = batch.observations[0]
        action = values[forward(values, 0, controller.trained.network, 0)]
        batch.step([[action]])
        rows.append(batch.state["row"][0].copy())
        rates.append(float(batch.state["rate"][0]))
    return np.array(rows), np.array(rates)


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
@pytest.mark.parametrize("case", CASES)
def test_engine_equals_environment(case: str, attribution: str, tmp_path: Path) -> None:
    """Every column of every interval and every rate are the same bits."""
    fields: dict[str, Any] = {"most_share": 1e5, "rate_bps": (1e4, 2e8), **CASES[case]}
    config = EnvConfig(attribution=attribution, **fields)
    moved = 0
    for seed in range(3):
        controller = made.random_controller(tmp_path, config, seed)
        batch = Batch(pcc_kernel, config, 1)
        batch.seed(seed)
        pcc_kernel.start(batch.state, np.ones(1, np.bool_), batch.known)
        scenario = link_scenario(batch, controller, attribution)
        batch.state["losses"] = luck.seeds(scenario)["loss"]
        batch.finish_start()
        rows, rates = drive_environment(batch, controller)
        session = Session(scenario)
        for _ in range(config.warmup_intervals):
            assert session.run_until_interval(0) is not None
        compared = [i for i, n in enumerate(b.INTERVAL) if n != "rtt_slope" or n in config.features]
        for k in range(STEPS):
            assert session.state(0)[b.PACING_BPS] == rates[k], f"seed {seed}, rate {k}"
            told = session.run_until_interval(0)
            assert told is not None
            np.testing.assert_array_equal(told[compared], rows[k][compared], f"{seed}, row {k}")
        seen = session.state(0)[INPUT : INPUT + controller.trained.layers[0]]
        np.testing.assert_array_equal(seen, batch.observations[0].astype(np.float64))
        moved += len(np.unique(rates))
    assert moved > (5 if case == "within limits" else STEPS), "the networks hardly acted"


def test_float32_networks_give_nearly_the_same_actions(tmp_path: Path) -> None:
    """What a network in float32, as torch runs it, decides differently on the same observation."""
    layers = [30, 32, 16, 1]
    tensors = made.random_tensors(layers, 5)
    network, draws = packed(tensors, layers), np.random.default_rng(0)
    for _ in range(200):
        seen = draws.normal(1.0, 0.5, 30).astype(np.float32)
        single = seen
        for i in range(3):
            single = single @ tensors[f"w{i}"] + tensors[f"b{i}"]
            single = np.tanh(single) if i < 2 else single
        values = np.zeros(sum(layers))
        values[:30] = seen
        assert abs(values[forward(values, 0, network, 0)] - float(single[0])) < 2e-6


@pytest.mark.parametrize("layers", [[3, 1], [4, 5, 1], [6, 7, 8, 9, 1]])
def test_a_network_of_any_depth_is_its_matrices(layers: list[int]) -> None:
    tensors = made.random_tensors(layers, len(layers))
    values, seen = np.zeros(sum(layers)), np.linspace(-1.0, 2.0, layers[0])
    values[: layers[0]] = seen
    found = values[forward(values, 0, packed(tensors, layers), 0)]
    for i in range(len(layers) - 1):
        seen = seen @ tensors[f"w{i}"].astype(np.float64) + tensors[f"b{i}"]
        seen = np.tanh(seen) if i < len(layers) - 2 else seen
    assert found == pytest.approx(float(seen[0]), rel=1e-12, abs=1e-14)


# --- the sender


def heard(start_ms: float, rtt_ms: float = 40.0, **columns: float) -> Any:
    """Return the row of an interval of 20 ms with ACKs."""
    told = {
        "start_ns": start_ms * MS,
        "end_ns": (start_ms + 20.0) * MS,
        "sent": 12.0,
        "acked": 10.0,
    }
    told |= dict.fromkeys(
        ("mean_rtt_ns", "first_half_rtt_ns", "second_half_rtt_ns", "least_rtt_ns"), rtt_ms * MS
    )
    return pipe.interval(**{**told, "min_rtt_ns": 40 * MS, "srtt_ns": rtt_ms * MS, **columns})


def silent(start_ms: float) -> Any:
    return pipe.interval(start_ns=start_ms * MS, end_ns=(start_ms + 10.0) * MS, sent=12.0)


def test_actions_multiply_the_rate_once_the_warm_up_is_over(tmp_path: Path) -> None:
    controller = made.constant_controller(tmp_path, EnvConfig(warmup_intervals=3), 0.5)
    state, constants = pipe.start(controller, start_bps=2e6)
    assert state[b.INTERVAL_NS] == 10 * MS
    rates = []
    rows = [silent(0), silent(10), heard(20), heard(40), heard(60), heard(80), heard(100)]
    for row in rows:
        controller.on_interval(state, row, constants)
        rates.append(state[b.PACING_BPS] / 2e6)
    # Silent intervals and the first with an ACK are one; two more, the last of which brings
    # the first action.
    assert rates == pytest.approx([1, 1, 1, 1, *(1.05 ** (0.5 * k) for k in (1, 2, 3))])
    assert state[b.INTERVAL_NS] == 20 * MS
    assert state[b.INTERVAL_PACKETS] == 10.0


def test_a_sender_that_is_told_its_first_interval_counts_silent_ones(tmp_path: Path) -> None:
    controller = made.constant_controller(tmp_path, EnvConfig(), 1.0)
    state, constants = pipe.start(controller, start_bps=2e6, first_interval_ns=30 * MS)
    for row, factor in ((silent(0), 1.0), (silent(30), 1.05), (silent(60), 1.05**2)):
        assert state[b.INTERVAL_NS] == 30 * MS
        controller.on_interval(state, row, constants)
        assert state[b.PACING_BPS] == pytest.approx(2e6 * factor)


def test_the_first_action_is_on_an_empty_history(tmp_path: Path) -> None:
    config = EnvConfig(features=NAMES, history=2)
    controller = made.random_controller(tmp_path, config)
    state, constants = pipe.start(controller, start_bps=2e6)
    empty = [FEATURES[name][2] for name in NAMES] * 2
    for row in (heard(0), heard(20, rtt_ms=90.0)):
        assert state[INPUT : INPUT + 16].tolist() == empty
        controller.on_interval(state, row, constants)
    assert state[INPUT : INPUT + 16].tolist() == empty
    assert state[steering.ACTION] != 0.0
    controller.on_interval(state, heard(40, rtt_ms=90.0), constants)
    assert state[INPUT : INPUT + 8].tolist() == empty[:8]
    assert state[INPUT + 8 + 1] == np.float32(90 / 40)


@pytest.mark.parametrize(("action", "factor"), [(7.0, 1.05), (-7.0, 1 / 1.05), (0.0, 1.0)])
def test_actions_are_clamped(action: float, factor: float, tmp_path: Path) -> None:
    controller = made.constant_controller(tmp_path, EnvConfig(warmup_intervals=0), action)
    state, _ = pipe.start(controller, start_bps=2e6)
    assert state[b.PACING_BPS] == pytest.approx(2e6 * factor)


def test_rates_stay_within_the_limits(tmp_path: Path) -> None:
    for action, end in ((1.0, 3e6), (-1.0, 1e6)):
        config = EnvConfig(rate_bps=(1e6, 3e6))
        controller = made.constant_controller(tmp_path, config, action)
        state, constants = pipe.start(controller, start_bps=2e6)
        for k in range(60):
            controller.on_interval(state, heard(20.0 * k), constants)
        assert state[b.PACING_BPS] == end


def test_parameters_out_of_range_are_named(tmp_path: Path) -> None:
    controller = made.constant_controller(tmp_path, EnvConfig(), 0.0)
    for name, value in (
        ("delta", 0.0),
        ("min_bps", 1.0),
        ("max_bps", 2e3),
        ("interval_rtts", -1.0),
        ("interval_packets", 2.5),
        ("warmup_intervals", -1.0),
        ("first_interval_ns", -1.0),
        ("start_bps", -1.0),
    ):
        with pytest.raises(ValueError, match=f"made.*{name}"):
            controller.constants({name: value})


class TestRandomNetwork(ControllerConformance):
    """The laws of all controllers, for the eight features and three hidden layers."""

    @cached_property
    def it(self) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            config = EnvConfig(features=NAMES, history=4)
            return made.random_controller(Path(folder), config, 1, (9, 8, 7))


class TestNetworkThatCountsBySending(ControllerConformance):
    @cached_property
    def it(self) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return made.random_controller(Path(folder), EnvConfig(attribution=b.SENT), 2)


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
def test_both_engines_run_it(attribution: str, tmp_path: Path) -> None:
    config = EnvConfig(attribution=attribution, interval_packets=4)
    controller = made.random_controller(tmp_path, config, 4)
    links = (Link(Constant(5e6), 10_000_000, DropTail(packets=20), Bernoulli(0.02)),)
    flows = (Flow(controller, start_rate_bps=3e6), Flow("cubic", start_ns=300_000_000))
    assert_equal(Scenario(links, flows, 2 * SECOND, seed=1))
