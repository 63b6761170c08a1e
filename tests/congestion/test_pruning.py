"""Pruned networks: what goes, what is counted, and that sparse evaluation changes no number."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion import aurora, aurora_pruned
from policies.congestion.base import CONTROLLERS
from policies.congestion.networks import flat_layers, forward, packed, read_safetensors
from policies.congestion.pruning import multiply_adds, prune, sparse, sparse_layers
from sim.net.engine.run import simulate
from sim.net.links import Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.congestion import pipe
from tests.congestion.made_networks import random_tensors

PUBLISHED = read_safetensors(aurora.WEIGHTS)
SHARES = (0.5, 0.8, 0.9)


def weights_of(tensors: Any) -> Any:
    return np.concatenate([tensors[f"w{i}"].ravel() for i in range(3)])


# --- pruning


@pytest.mark.parametrize(
    ("share", "together", "by_layer"), [(0.5, 744, 744), (0.8, 298, 297), (0.9, 149, 149)]
)
def test_as_many_multiply_adds_are_left_as_the_paper_reports(share, together, by_layer):
    assert multiply_adds(PUBLISHED) == 1488
    assert multiply_adds(prune(PUBLISHED, share)) == together
    assert multiply_adds(prune(PUBLISHED, share, per_layer=True)) == by_layer


def test_each_layer_loses_its_share():
    left = prune(PUBLISHED, 0.8, per_layer=True)
    assert [np.count_nonzero(left[f"w{i}"]) for i in range(3)] == [192, 102, 3]


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("share", SHARES)
def test_the_largest_weights_are_left_as_they_were(share, per_layer):
    left = prune(PUBLISHED, share, per_layer)
    assert all(
        np.array_equal(left[name], PUBLISHED[name]) for name in ("b0", "b1", "b2", "log_std")
    )
    for group in ((0,), (1,), (2,)) if per_layer else ((0, 1, 2),):
        before = np.concatenate([PUBLISHED[f"w{i}"].ravel() for i in group])
        after = np.concatenate([left[f"w{i}"].ravel() for i in group])
        kept = after != 0.0
        assert np.array_equal(after[kept], before[kept])
        assert np.abs(before[kept]).min() >= np.abs(before[~kept]).max()


def test_pruning_more_removes_more_of_the_same():
    for one, other in pairwise(SHARES):
        kept, fewer = (weights_of(prune(PUBLISHED, share)) != 0.0 for share in (one, other))
        assert (kept | ~fewer).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=4),
    st.floats(0.0, 1.0),
    st.booleans(),
    st.integers(0, 100),
)
def test_pruning_any_network(layers, share, per_layer, seed):
    tensors = random_tensors(layers, seed)
    before = {name: tensor.copy() for name, tensor in tensors.items()}
    left = prune(tensors, share, per_layer)
    assert all(np.array_equal(before[name], tensors[name]) for name in before), "changed its input"
    groups = [a * c for a, c in pairwise(layers)] if per_layer else [multiply_adds(tensors)]
    assert abs(multiply_adds(left) - (1 - share) * sum(groups)) <= 0.5 * len(groups) + 1e-9
    again = prune(left, share, per_layer)
    assert all(np.array_equal(again[name], left[name]) for name in left)


def test_of_equal_weights_the_first_go():
    left = prune({"w0": np.ones((2, 2), np.float32), "b0": np.ones(2, np.float32)}, 0.5)
    assert left["w0"].tolist() == [[0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_that_are_none_are_refused(share):
    with pytest.raises(ValueError, match="share"):
        prune(PUBLISHED, share)


def test_a_network_without_weights_is_refused():
    with pytest.raises(ValueError, match="w0"):
        prune({"b0": np.zeros(3, np.float32)}, 0.5)


# --- sparse evaluation


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=4),
    st.floats(0.0, 1.0),
    st.integers(0, 100),
)
def test_sparse_equals_dense_with_zeros(layers, share, seed):
    left = prune(random_tensors(layers, seed), share)
    values = np.zeros(sum(layers))
    values[: layers[0]] = np.random.default_rng(seed).normal(size=layers[0])
    others, dense, layout = values.copy(), packed(left, layers), sparse_layers(left, layers)
    forward(values, 0, dense, 0)
    at, source = 0, 0
    for i, (inputs, outputs) in enumerate(pairwise(layers)):
        last = i == len(layers) - 2
        at = sparse(others, source, source + inputs, outputs, layout, at, not last)
        source += inputs
    assert at == len(layout)
    np.testing.assert_array_equal(others, values)


def test_sparse_layers_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="w1"):
        sparse_layers(PUBLISHED, (30, 32, 17, 1))


# --- the controllers


def rates(controller, **parameters):
    link = Link(Constant(3e7), 15_000_000, DropTail(packets=660))
    flow = Flow(controller, start_rate_bps=1.5e7, parameters=parameters)
    trace = simulate(Scenario((link,), (flow,), 5 * SECOND), trace=True).trace
    return trace["pacing_bps"]


def test_pruned_by_nothing_it_is_aurora(monkeypatch):
    monkeypatch.setattr(aurora_pruned.AuroraPruned50, "share", 0.0)
    np.testing.assert_array_equal(rates("aurora_pruned_50"), rates("aurora_udt"))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("per_layer", [0.0, 1.0])
def test_its_action_is_that_of_the_dense_network_with_zeros(share, per_layer):
    controller = CONTROLLERS.get(f"aurora_pruned_{share * 100:.0f}")
    state, constants = pipe.start(controller, start_bps=6e6, per_layer=per_layer)
    left = prune(PUBLISHED, share, per_layer == 1.0)
    network = packed(left, aurora.SIZES)
    draws = np.random.default_rng(1)
    for _ in range(20):
        rtts = draws.uniform(50.0, 90.0, 2) * 1e6
        columns = {"first_half_rtt_ns": rtts[0], "second_half_rtt_ns": rtts[1]}
        columns |= {"mean_rtt_ns": rtts.mean(), "srtt_ns": 6e7, "end_ns": 1e8, "sent": 20.0}
        columns |= {"acked": 11.0, "send_span_ns": 95e6, "ack_span_ns": 80e6}
        controller.on_interval(state, pipe.interval(**columns), constants)
        values = np.zeros(sum(aurora.SIZES))
        values[:30] = state[aurora.INPUT : aurora.INPUT + 30]
        assert state[aurora.ACTION] == values[forward(values, 0, network, 0)]


def test_constants_hold_what_is_left_and_no_more():
    sizes = [len(CONTROLLERS.get(f"aurora_pruned_{n}").constants({})) for n in (50, 80, 90)]
    outputs = 32 + 16 + 1
    assert sizes == [5 + 2 * outputs + 2 * left for left in (744, 298, 149)]
    assert len(flat_layers(PUBLISHED, aurora.SIZES)) == 1488 + outputs


def test_per_layer_is_yes_or_no():
    with pytest.raises(ValueError, match="per_layer must be 0 or 1"):
        CONTROLLERS.get("aurora_pruned_80").constants({"per_layer": 0.5})
