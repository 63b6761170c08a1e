"""Interpolation in a measured attention grid, and padding to captured graphs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gpu.attention_grid import AttentionGrid, grid_ns
from sim.gpu.dense import padded
from sim.gpu.step_cost import Batch

AXES = [np.array(axis, float) for axis in ([0, 16, 64, 256], [0, 32, 512], [0, 1, 16], [0, 16, 99])]


def multilinear(chunk, before, decodes, kv):
    """Return a function that linear interpolation meets everywhere."""
    return 5.0 + 0.1 * chunk * (3 + before) + decodes * (7 + 0.2 * kv) * (1 + 0.01 * chunk)


GRID = AttentionGrid(*AXES, multilinear(*np.meshgrid(*AXES, indexing="ij")))


def batch(prefills, chunk, before, decodes, kv):
    """Return a step with equal prefills and equal decodes."""
    pairs = prefills * (chunk * before + chunk * (chunk + 1) // 2)
    return Batch(0, prefills * chunk, prefills, pairs, decodes, decodes * kv, 0)


@given(st.integers(16, 400), st.integers(0, 700), st.integers(1, 30), st.integers(0, 200))
def test_one_mixed_launch_is_what_the_grid_says(chunk, before, decodes, kv):
    """Prefill and decode parts add up to the launch, between and beyond grid points."""
    prefill, decode = grid_ns(GRID, batch(1, chunk, before, decodes, kv))
    assert prefill == pytest.approx(multilinear(chunk, before, 0, 0))
    assert prefill + decode == pytest.approx(multilinear(chunk, before, decodes, kv))


@given(st.integers(1, 30), st.integers(0, 200))
def test_decodes_alone_are_looked_up_alone(decodes, kv):
    """Without a chunk the launch is the decodes' own."""
    prefill, decode = grid_ns(GRID, batch(0, 0, 0, decodes, kv))
    assert (prefill, decode) == (0.0, pytest.approx(multilinear(0, 0, decodes, kv)))


@given(st.integers(1, 15), st.integers(1, 16))
def test_short_chunks_do_not_turn_decodes_into_decoding_alone(chunk, decodes):
    """Below the first measured chunk the mixed launch holds, not the mean with decoding alone."""
    _, decode = grid_ns(GRID, batch(1, chunk, 0, decodes, 50))
    _, at_first = grid_ns(GRID, batch(1, 16, 0, decodes, 50))
    assert decode == pytest.approx(at_first)


@given(st.integers(1, 9), st.integers(16, 256))
def test_each_prefill_costs_as_much_as_alone(prefills, chunk):
    """n equal prefills take n times as long as one."""
    one, _ = grid_ns(GRID, batch(1, chunk, 40, 0, 0))
    many, _ = grid_ns(GRID, batch(prefills, chunk, 40, 0, 0))
    assert many == pytest.approx(prefills * one)


@given(st.lists(st.integers(1, 300), max_size=8), st.integers(1, 300))
def test_padding_goes_up_to_the_next_graph(captured, most):
    """Never down, to a captured size if one is large enough, else nowhere."""
    table = padded(most, tuple(captured))
    assert table[0] == 0
    for tokens in range(1, most + 1):
        larger = [size for size in captured if tokens <= size <= most]
        assert table[tokens] == (min(larger) if larger else tokens)


def test_a_graph_of_nothing_is_refused():
    """Sizes start at 1."""
    with pytest.raises(ValueError, match=">= 1"):
        padded(8, (0, 4))
