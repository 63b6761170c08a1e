import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion import aurora
from policies.congestion import base as b
from policies.congestion import monitor as m
from policies.congestion import networks as n
from policies.congestion.base import CONTROLLERS
from sim.net.engine.run import simulate
from sim.net.links import Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.congestion import pipe

GYM = CONTROLLERS.get("aurora_gym")
UDT = CONTROLLERS.get("aurora_udt")
MS = 1e6


def history(state):
    return state[aurora.INPUT : aurora.INPUT + 30]


def row(**columns):
    given_ = {
        "start_ns": 0.0,
        "end_ns": 100 * MS,
        "sent": 20.0,
        "acked": 11.0,
        "mean_rtt_ns": 60 * MS,
        "first_half_rtt_ns": 50 * MS,
        "second_half_rtt_ns": 70 * MS,
        "send_span_ns": 95 * MS,
        "ack_span_ns": 80 * MS,
        "srtt_ns": 60 * MS,
    }
    return pipe.interval(**(given_ | columns))


def silent(**columns):
    none = {"acked": 0.0, "ack_span_ns": 0.0} | dict.fromkeys(
        ("mean_rtt_ns", "first_half_rtt_ns", "second_half_rtt_ns"), math.nan
    )
    return row(**(none | columns))


# --- features and actions


def test_features_by_hand():
    found = m.features(row(), 50 * MS, 100 * MS, 100 * MS)
    assert found == pytest.approx((0.2, 1.2, 20 / (11 - 1)), rel=1e-12)
    found = m.features(row(), 50 * MS, 95 * MS, 80 * MS)
    assert found == pytest.approx((20 / 95, 1.2, (20 / 95) / (10 / 80)), rel=1e-12)


def test_features_of_empty_intervals():
    assert m.features(silent(sent=0.0), 0.0, 100 * MS, 100 * MS) == (0.0, 1.0, 1.0)
    assert m.features(silent(), 50 * MS, 100 * MS, 100 * MS) == (0.0, 0.0, 1.0)
    one = row(acked=1.0, first_half_rtt_ns=math.nan, second_half_rtt_ns=math.nan)
    assert m.features(one, 60 * MS, 0.0, 0.0) == (0.0, 1.0, 1.0)
    assert m.features(row(sent=20_000.0, acked=11.0), 60 * MS, 1e8, 1e8)[2] == 1.0


def test_least_rtt_is_that_of_interval_means():
    assert m.least_mean_rtt(silent(), 0.0) == 0.0
    assert m.least_mean_rtt(row(least_rtt_ns=10 * MS), 0.0) == 60 * MS
    assert m.least_mean_rtt(row(), 55 * MS) == 55 * MS
    assert m.least_mean_rtt(silent(), 55 * MS) == 55 * MS


@pytest.mark.parametrize(
    ("action", "rate"), [(2.0, 105.0), (-2.0, 100.0 / 1.05), (0.0, 100.0), (-40.0, 50.0)]
)
def test_actions(action, rate):
    assert m.apply_action(100.0, action, 0.025) == pytest.approx(rate, rel=1e-15)


# --- the network


def forward(x, tensors):
    h = np.tanh(x @ tensors["w0"].astype(float) + tensors["b0"])
    h = np.tanh(h @ tensors["w1"].astype(float) + tensors["b1"])
    return float((h @ tensors["w2"].astype(float) + tensors["b2"])[0])


def test_forward_pass_is_the_matrix_product():
    tensors = n.read_safetensors(aurora.WEIGHTS)
    state, constants = pipe.start(GYM)
    rng = np.random.default_rng(3)
    for _ in range(50):
        x = rng.normal(0.0, 2.0, 30)
        state[aurora.INPUT : aurora.INPUT + 30] = x
        aurora.decide(state, constants)
        assert state[aurora.ACTION] == pytest.approx(forward(x, tensors), rel=1e-12, abs=1e-12)


# --- the two profiles


@pytest.mark.parametrize("controller", [GYM, UDT])
def test_history_begins_empty_and_has_the_newest_interval_last(controller):
    state, constants = pipe.start(controller, start_bps=5e6)
    assert history(state).tolist() == [0.0, 1.0, 1.0] * 10
    for _ in range(3):
        controller.on_interval(state, row(), constants)
    kept = 1 if controller is GYM else 3
    expected = (0.2, 1.0, 2.0) if controller is GYM else (20 / 95, 1.0, (20 / 95) / (10 / 80))
    assert history(state)[-3 * kept :] == pytest.approx(np.tile(expected, kept))
    assert history(state)[: -3 * kept].tolist() == [0.0, 1.0, 1.0] * (10 - kept)


def test_gym_warms_up_before_it_acts():
    state, constants = pipe.start(GYM, start_bps=3e6)
    GYM.on_interval(state, silent(), constants)
    GYM.on_interval(state, row(), constants)
    assert state[b.PACING_BPS] == 3e6
    assert state[b.INTERVAL_NS] == 120 * MS
    GYM.on_interval(state, row(), constants)
    action = forward(np.tile([0.0, 1.0, 1.0], 10), n.read_safetensors(aurora.WEIGHTS))
    assert state[aurora.ACTION] == pytest.approx(action, rel=1e-12)
    assert state[b.PACING_BPS] == pytest.approx(m.apply_action(3e6, action, 0.025))
    assert state[b.INTERVAL_NS] == 90 * MS
    GYM.on_interval(state, row(), constants)
    assert state[b.INTERVAL_NS] == 30 * MS
    GYM.on_interval(state, silent(), constants)
    assert state[b.INTERVAL_NS] == 30 * MS
    assert history(state)[-3:].tolist() == [0.0, 0.0, 1.0]


def test_udt_waits_for_the_first_ack():
    state, constants = pipe.start(UDT)
    assert state[b.PACING_BPS] == 6e6
    UDT.on_interval(state, silent(), constants)
    assert (state[b.PACING_BPS], state[aurora.PHASE]) == (6e6, aurora.SILENT)
    UDT.on_interval(state, row(), constants)
    assert state[b.PACING_BPS] == pytest.approx(m.apply_action(6e6, state[aurora.ACTION], 0.05))
    assert (state[b.INTERVAL_NS], state[b.INTERVAL_PACKETS]) == (30 * MS, 5.0)


@pytest.mark.parametrize(
    ("controller", "low", "high"), [(GYM, 40 * 12e3, 1000 * 12e3), (UDT, 0.5e6, 300e6)]
)
def test_rates_stay_within_the_limits(controller, low, high):
    assert pipe.start(controller, start_bps=1e9)[0][b.PACING_BPS] == high
    assert pipe.start(controller, start_bps=1e3)[0][b.PACING_BPS] == low
    state, constants = pipe.start(controller, start_bps=2e6)
    for rise in (1.0, -1.0):  # RTTs that fall call for more, that rise for less
        for _ in range(400):
            falling = row(
                first_half_rtt_ns=(60 + 20 * rise) * MS, second_half_rtt_ns=(60 - 20 * rise) * MS
            )
            controller.on_interval(state, falling, constants)
        assert state[b.PACING_BPS] == (high if rise > 0 else low)


@pytest.mark.parametrize("controller", [GYM, UDT])
def test_start_rate_parameter_and_checks(controller):
    state = np.zeros(len(controller.state))
    constants = controller.constants({"start_bps": 2e6})
    controller.init(state, pipe.flow_row(9e6), constants)
    assert state[b.PACING_BPS] == 2e6
    for bad in ({"scale": 0.0}, {next(iter(controller.parameters)): -1.0}, {"start_bps": -1.0}):
        with pytest.raises(ValueError, match="aurora"):
            controller.constants(bad)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, 1e12), min_size=17, max_size=17), st.integers(0, 2**17 - 1))
def test_any_row_leaves_a_rate(values, gaps):
    odd = np.array([math.nan if gaps >> i & 1 and i > 7 else v for i, v in enumerate(values)])
    for controller in (GYM, UDT):
        state, constants = pipe.start(controller, start_bps=5e6)
        for _ in range(4):
            controller.on_interval(state, odd, constants)
        assert np.isfinite(state[b.PACING_BPS])
        assert state[b.PACING_BPS] > 0.0
        assert state[b.INTERVAL_NS] > 0.0


def utilisation(controller, mbps, rtt_ms, start_bps, seconds=30):
    link = Link(Constant(mbps * 1e6), int(rtt_ms * MS / 2), DropTail(packets=660))
    flow = Flow(controller, start_rate_bps=start_bps)
    half = seconds * SECOND // 2
    result = simulate(Scenario((link,), (flow,), seconds * SECOND, measure_from_ns=half))
    return result.goodput_bps()[0] * 1514 / 1448 / (mbps * 1e6)


@pytest.mark.extensive
def test_udt_holds_a_link_from_half_its_rate_and_collapses_from_a_fifth():
    # What the unmodified network does in PCC-RL's own simulator with its limits lifted: 0.977.
    assert utilisation("aurora_udt", 30, 30, 15e6) == pytest.approx(0.977, abs=0.02)
    assert utilisation("aurora_udt", 30, 30, 6e6) < 0.1


@pytest.mark.extensive
def test_gym_fills_a_link_of_its_training():
    assert utilisation("aurora_gym", 4, 400, 3e6, seconds=120) > 0.9


# --- the file of weights


def test_weights_are_the_ones_described():
    described = json.loads(aurora.WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))
    assert hashlib.sha256(aurora.WEIGHTS.read_bytes()).hexdigest() == described["sha256"]
    tensors = n.read_safetensors(aurora.WEIGHTS)
    assert {k: list(v.shape) for k, v in tensors.items()} == described["shapes"]
    assert float(np.exp(tensors["log_std"][0])) == pytest.approx(1.118, abs=5e-4)
    assert len(n.flat_layers(tensors, aurora.SIZES)) == 1537


def test_reader_agrees_with_the_library():
    library = pytest.importorskip("safetensors.numpy")
    theirs = library.load_file(aurora.WEIGHTS)
    ours = n.read_safetensors(aurora.WEIGHTS)
    assert theirs.keys() == ours.keys()
    for name, values in theirs.items():
        assert np.array_equal(values, ours[name])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_or_read(data, tmp_path_factory):
    whole = aurora.WEIGHTS.read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            place = data.draw(st.integers(0, min(len(damaged), 700) - 1))
            damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("weights") / "damaged.safetensors"
    path.write_bytes(bytes(damaged))
    try:
        tensors, problem = n.read_safetensors(path), ""
    except ValueError as error:
        tensors, problem = {}, str(error)
    assert not problem or "damaged.safetensors" in problem
    assert all(v.dtype == np.float32 and np.isfinite(v).all() for v in tensors.values())


def packed(header, body=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        packed([]),
        packed({"w0": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        packed({"w0": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 4),
        packed({"w0": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}, b"\0" * 8),
        packed({"w0": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\xff" * 4),
        packed({"w0": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, b"\0" * 4),
    ],
)
def test_unsound_files_are_refused_by_name(content, tmp_path):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.safetensors"):
        n.read_safetensors(path)


def test_missing_layers_are_refused():
    tensors = n.read_safetensors(aurora.WEIGHTS)
    with pytest.raises(ValueError, match="w1"):
        n.flat_layers({k: v for k, v in tensors.items() if k != "w1"}, aurora.SIZES)
