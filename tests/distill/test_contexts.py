"""Contexts divide all links, are found where return changes, and survive as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.distill.contexts import (
    CONDITIONS,
    Context,
    check_division,
    find_contexts,
    label,
    read_contexts,
    simplest,
    write_contexts,
)
from policies.distill.teacher_config import corrected_links
from policies.distill.worlds import CORRECTED, World
from policies.registry import UnknownNameError
from sim.net.problems import ScenarioError

WHOLE = World(CORRECTED, corrected_links(warmup_intervals=0))
EVERYTHING = Context({})


def links_of(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    batch = WHOLE.batch(count)
    batch.seed(seed)
    batch.begin()
    return batch.links()


def parts(draw: st.DrawFn, box: Context, left: int, cuts: list[float]) -> Iterator[Context]:
    """Yield the parts of a box that random cuts make."""
    name = draw(st.sampled_from(CONDITIONS))
    low, high = box.limits(name)
    cut = draw(st.sampled_from(cuts))
    if left == 0 or not low < cut < high:
        yield box
        return
    for ends in ((low, cut), (cut, high)):
        yield from parts(draw, Context({**box.ranges, name: ends}), left - 1, cuts)


CUTS = [0.0, 0.01, 0.03, 0.05, 2.5, 100.0, 3e6, 1e7, 123456.7]


@st.composite
def divisions(draw: st.DrawFn) -> tuple[Context, ...]:
    return tuple(parts(draw, EVERYTHING, 4, CUTS))


VALUES = st.sampled_from([*CUTS, *np.nextafter(CUTS, -np.inf).tolist(), -7.0, 1e11])


# paper: symbolicpcc clustering
@given(contexts=divisions(), rows=st.lists(st.tuples(*[VALUES] * 4), min_size=1, max_size=30))
@settings(deadline=None)
def test_each_link_is_in_exactly_one_context(
    contexts: tuple[Context, ...], rows: list[tuple[float, ...]]
) -> None:
    links = dict(zip(CONDITIONS, np.array(rows).T, strict=True))
    labels = label(contexts, links)
    for place, row in enumerate(rows):
        inside = [
            number
            for number, context in enumerate(contexts)
            if all(
                context.limits(name)[0] <= value < context.limits(name)[1]
                for name, value in zip(CONDITIONS, row, strict=True)
            )
        ]
        assert inside == [labels[place]]


@given(contexts=divisions(), place=st.integers(0, 15))
@settings(deadline=None)
def test_what_does_not_divide_all_links_is_found_out(
    contexts: tuple[Context, ...], place: int
) -> None:
    check_division(contexts)
    place %= len(contexts)
    with pytest.raises(ValueError, match="overlap"):
        check_division((*contexts, contexts[place]))
    fewer = contexts[:place] + contexts[place + 1 :]
    if fewer:
        with pytest.raises(ValueError, match="leave out some links"):
            check_division(fewer)


def test_links_that_are_in_none_or_in_two_are_named() -> None:
    slow, fast = Context({"bandwidth_bps": (0.0, 1e7)}), Context({"bandwidth_bps": (1e7, 1e8)})
    links = {name: np.array([1.0, 2.0]) for name in CONDITIONS}
    links["bandwidth_bps"] = np.array([5e6, 1e8])
    with pytest.raises(ValueError, match="link 1 lies in 0 of 2 contexts"):
        label((slow, fast), links)
    with pytest.raises(ValueError, match="link 0 lies in 2 of 2 contexts"):
        label((slow, EVERYTHING), links)
    with pytest.raises(ValueError, match="there are none"):
        label((), links)


# paper: symbolicpcc clustering
@given(seed=st.integers(0, 99), first=st.permutations(CONDITIONS), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_share_that_is_constant_on_boxes_gives_back_the_boxes(
    seed: int, first: list[str], data: st.DataObject
) -> None:
    """Three boxes: one condition tells the best, a second one tells the other two apart."""
    links = links_of(400, seed)
    one, two = first[:2]
    near = [float(np.quantile(links[n], data.draw(st.floats(0.3, 0.7)))) for n in (one, two)]
    good, middling = links[one] < near[0], links[two] < near[1]
    truth = np.where(good, 0, np.where(middling, 1, 2))
    share = np.array([1.0, 0.25, 0.0])[truth]
    contexts = find_contexts(links, share, 3)
    assert (label(contexts, links) == truth).all()
    assert len(contexts) == 3
    assert set(contexts[0].ranges) == {one}
    assert set(contexts[1].ranges) == {one, two}
    cut = contexts[0].limits(one)[1]
    assert links[one][good].max() < cut <= links[one][~good].min()
    check_division(contexts)
    more = find_contexts(links, share, 8)  # there are no more than three to find
    assert more == contexts


@given(
    count=st.integers(1, 9),
    by=st.lists(st.sampled_from(CONDITIONS), min_size=1, unique=True),
    least=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_contexts_are_the_leaves_of_scikit_learns_tree(
    count: int, by: list[str], least: float, seed: int
) -> None:
    from sklearn.tree import DecisionTreeRegressor

    links = links_of(200, seed)
    share = np.random.default_rng(seed).normal(size=200) + links["loss_probability"] * 30.0
    contexts = find_contexts(links, share, count, by, least)
    labels = label(contexts, links)
    check_division(contexts)
    assert len(contexts) <= count
    assert {name for context in contexts for name in context.ranges} <= set(by)
    means = [share[labels == number].mean() for number in range(len(contexts))]
    assert means == sorted(means, reverse=True)
    assert np.bincount(labels).min() >= (least * 200 if len(contexts) > 1 else 200)
    if count > 1:
        model = DecisionTreeRegressor(
            max_leaf_nodes=count, min_samples_leaf=max(1, math.ceil(least * 200)), random_state=0
        )
        columns = np.stack([links[name] for name in by], axis=1)
        leaves = model.fit(columns, share).apply(columns)
        assert len(set(zip(labels.tolist(), leaves.tolist(), strict=True))) == len(contexts)
        assert len(set(leaves.tolist())) == len(contexts)


def test_one_context_is_the_whole_world() -> None:
    links = links_of(50)
    contexts = find_contexts(links, links["loss_probability"], 1)
    assert contexts == (EVERYTHING,)
    assert (label(contexts, links) == 0).all()
    assert contexts[0].world(WHOLE) == WHOLE
    assert find_contexts(links, np.ones(50), 4) == (EVERYTHING,)  # nothing to tell apart


def test_links_that_a_context_draws_are_labelled_as_its() -> None:
    links = links_of(1000)
    share = np.random.default_rng(1).normal(size=1000) - np.log(links["queue_packets"])
    contexts = find_contexts(links, share, 8)
    for number, context in enumerate(contexts):
        batch = context.world(WHOLE).batch(300)
        batch.seed(7)
        batch.begin()
        assert (label(contexts, batch.links()) == number).all()


@given(ends=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=2, unique=True))
def test_cuts_lie_between_their_neighbours(ends: list[float]) -> None:
    below, above = sorted(ends)
    cut = simplest(below, above)
    assert below < cut <= above


@pytest.mark.parametrize(
    ("below", "above", "cut"),
    [
        (0.0297, 0.0302, 0.03),
        (0.029949, 0.029951, 0.02995),
        (2.0, 3.0, 3.0),
        (1234567.0, 1234568.0, 1234568.0),
        (9.4e6, 1.13e7, 1e7),
        (1.0, math.nextafter(1.0, 2.0), math.nextafter(1.0, 2.0)),
    ],
)
def test_cuts_have_few_digits(below: float, above: float, cut: float) -> None:
    assert simplest(below, above) == cut


def test_text_says_what_a_box_holds() -> None:
    box = {"loss_probability": (0.03, math.inf), "bandwidth_bps": (1e6, 2.5e7)}
    assert Context(box).text == (
        "bandwidth_bps from 1000000 and below 25000000, loss_probability from 0.03"
    )
    assert EVERYTHING.text == "any link"
    assert Context({"delay_s": (-math.inf, math.inf)}) == EVERYTHING


@pytest.mark.parametrize(
    "ends", [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.nan), (0.0, 1e300), (math.inf, 1)]
)
def test_ranges_that_hold_nothing_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="delay_s: a range must be"):
        Context({"delay_s": ends})


def test_unknown_conditions_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'delay_s'"):
        Context({"delay": (0.0, 1.0)})
    with pytest.raises(UnknownNameError, match="did you mean 'bandwidth_bps'"):
        find_contexts(links_of(9), np.ones(9), 2, by=["bandwidth"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": np.ones(3)}, "one finite number for each of 9 links"),
        ({"share": np.full(9, np.nan)}, "one finite number"),
        ({"conditions": {}}, "bandwidth_bps is missing"),
        ({"conditions": {n: np.ones((3, 3)) for n in CONDITIONS}}, "one value per link"),
        ({"conditions": {n: np.full(9, np.inf) for n in CONDITIONS}}, "not finite"),
        ({"conditions": {n: np.ones(0) for n in CONDITIONS}, "share": np.ones(0)}, "at least 1"),
        ({"by": ()}, "by: must name conditions"),
        ({"by": ("delay_s", "delay_s")}, "each once"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    sound: dict[str, Any] = {"conditions": links_of(9), "share": np.ones(9), "count": 2}
    with pytest.raises(ValueError, match=message):
        find_contexts(**{**sound, **changes})


@pytest.mark.parametrize("change", [{"count": 0}, {"count": 65}, {"least": -0.1}, {"least": 1.0}])
def test_numbers_out_of_range_are_named(change: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"conditions": links_of(9), "share": np.ones(9), "count": 2}
    with pytest.raises(ScenarioError, match=f"find_contexts: {next(iter(change))} must be"):
        find_contexts(**{**sound, **change})


@given(contexts=divisions())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_json_round_trip(contexts: tuple[Context, ...], tmp_path: Path) -> None:
    path = tmp_path / "contexts.json"
    write_contexts(path, contexts, {"command": "x"})
    assert read_contexts(path) == contexts
    assert json.loads(path.read_text())["command"] == "x"


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        (None, "must be a list of 1 to 64 boxes"),
        ([], "must be a list of 1 to 64 boxes"),
        ([{}] * 65, "must be a list of 1 to 64 boxes"),
        ([7], r"contexts\[0\] must be an object"),
        ([{"delay": [0, 1]}], r"contexts\[0\]: unknown condition 'delay'; did you mean 'delay_s'"),
        ([{"delay_s": [0]}], r"contexts\[0\]: 'delay_s': must be \[lowest"),
        ([{"delay_s": {}}], "must be "),
        ([{"delay_s": [True, 2]}], "must be "),
        ([{"delay_s": ["0", 2]}], "must be "),
        ([{"delay_s": [0, 10**400]}], "must be "),
        ([{"delay_s": [0, math.nan]}], "must be "),
        ([{"delay_s": [0, math.inf]}], "must be "),
        ([{"delay_s": [1, 0]}], "a range must be"),
        ([{"delay_s": [0, 1]}], "leave out some links"),
        ([{}, {}], "contexts 0 and 1 overlap"),
        ([{"delay_s": [None, 1]}, {"delay_s": [0.5, None]}], "contexts 0 and 1 overlap"),
        ([{"x" * 10_000: [0, 1]}], "unknown condition"),
    ],
)
def test_hostile_files_are_one_message(contexts: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "contexts.json"
    path.write_text(json.dumps({"contexts": contexts}))
    with pytest.raises(ValueError, match=message) as caught:
        read_contexts(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"contexts": 1e999}', "\x00"])
def test_files_that_hold_no_contexts_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "contexts.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"contexts\.json: "):
        read_contexts(path)
