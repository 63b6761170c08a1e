"""Random streams: what draws decides what is drawn; when and beside what does not."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.streams import canonical_json, stream

seeds = st.integers(0, 2**32 - 1)
names = st.text(max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
identities = st.dictionaries(st.text(max_size=4), json_values, max_size=3)


def draws(seed: int, identity: dict[str, Any], name: str) -> list[int]:
    return stream(seed, identity, name).integers(0, 2**63, size=4).tolist()


@given(seeds, identities, names, st.lists(st.tuples(seeds, identities, names), max_size=3))
def test_draws_depend_on_nothing_that_was_drawn_before(
    seed: int, identity: dict[str, Any], name: str, others: list[tuple[int, dict[str, Any], str]]
) -> None:
    """A new stream, or more draws from another one, never shifts this one."""
    first = draws(seed, identity, name)
    np.random.default_rng(0).random(10)
    for other in others:
        stream(*other).random(100)
    assert draws(seed, identity, name) == first


@given(st.tuples(seeds, identities, names), st.tuples(seeds, identities, names))
def test_other_seed_identity_or_name_is_another_stream(one: tuple, two: tuple) -> None:
    same = (one[0], canonical_json(one[1]), one[2]) == (two[0], canonical_json(two[1]), two[2])
    assert (draws(*one) == draws(*two)) == same


@given(identities, st.randoms(use_true_random=False))
def test_order_of_keys_does_not_matter(identity: dict[str, Any], luck: random.Random) -> None:
    shuffled = dict(luck.sample(list(identity.items()), len(identity)))
    assert canonical_json(identity) == canonical_json(shuffled)
    assert draws(1, identity, "x") == draws(1, shuffled, "x")


@given(json_values)
def test_canonical_json_is_json_in_ascii_on_one_line(value: Any) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": math.nan}])
def test_what_is_not_finite_has_no_canonical_text(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", {(1, 2): 3}, np.int64(1)])
def test_what_is_not_json_has_no_canonical_text(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_streams_of_adjacent_seeds_and_names_are_uncorrelated() -> None:
    """1000 numbers of each of 20 streams: correlations of independent ones stay below 5 sigma."""
    rows = [
        stream(seed, {"a": 1}, name).normal(size=1000) for seed in range(10) for name in ("u", "v")
    ]
    correlations = np.corrcoef(rows) - np.eye(20)
    assert np.abs(correlations).max() < 5 / math.sqrt(1000)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="root_seed"):
        stream(-1, {}, "x")


def test_draws_are_for_ever() -> None:
    """Stored results were drawn with these; the laws above say why it is only one example."""
    assert draws(7, {"density": 1.4}, "lengths")[:2] == [3484590203725927046, 2728999166725157389]
