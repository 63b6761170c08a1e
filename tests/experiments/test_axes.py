"""Axes to points: laws over random blocks."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.axes import MAX_POINTS, Block, apply_point, expand

scalars = st.one_of(st.integers(-3, 3), st.sampled_from(["a", "b"]), st.booleans(), st.none())
values = st.lists(scalars, min_size=1, max_size=3)


def grids(names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, max_size=3).map(lambda g: {"grid": g})


@st.composite
def zips(draw: st.DrawFn, names: str) -> dict[str, Any]:
    length = draw(st.integers(1, 3))
    side = st.lists(scalars, min_size=length, max_size=length)
    return {"zip": draw(st.dictionaries(st.sampled_from(names), side, min_size=1, max_size=3))}


def lists(names: str) -> st.SearchStrategy[dict[str, Any]]:
    point = st.dictionaries(st.sampled_from(names), scalars, max_size=3)
    return st.lists(point, max_size=4).map(lambda points: {"list": points})


def blocks(names: str = "abc") -> st.SearchStrategy[Block]:
    """Blocks of every shape, unions up to three levels deep, over the given one-letter names."""
    leaf = st.one_of(grids(names), zips(names), lists(names))
    tree = st.recursive(
        leaf,
        lambda b: st.lists(b, min_size=1, max_size=3).map(lambda u: {"union": u}),
        max_leaves=4,
    )
    return tree.map(Block.model_validate)


def texts(points: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(point, sort_keys=True) for point in points]


def expand_or_nothing(*arguments: Any) -> list[dict[str, Any]]:
    try:
        return expand(*arguments)
    except ValueError as error:
        if "no point is left" not in str(error):
            raise
        return []


@given(blocks())
def test_count_is_the_number_of_points_before_repeated_ones_go(block: Block) -> None:
    assert block.count() == len(list(block.points()))


@given(blocks("abc"), blocks("def"))
def test_sweep_is_the_product_of_its_blocks_each_point_once_in_order(
    one: Block, two: Block
) -> None:
    product = [a | b for a, b in itertools.product(one.points(), two.points())]
    assert texts(expand_or_nothing([one, two])) == list(dict.fromkeys(texts(product)))


@given(st.dictionaries(st.sampled_from("abc"), values, min_size=1))
def test_grid_is_all_combinations_with_the_last_axis_fastest(axes: dict[str, list[Any]]) -> None:
    points = list(Block(grid=axes).points())
    assert len(points) == math.prod(map(len, axes.values()))
    assert [tuple(p.values()) for p in points] == list(itertools.product(*axes.values()))


@given(st.lists(blocks(), min_size=1, max_size=3))
def test_union_is_its_blocks_one_after_the_other(parts: list[Block]) -> None:
    joined = [point for block in parts for point in block.points()]
    assert list(Block(union=parts).points()) == joined


@given(values, st.data())
def test_zip_is_values_side_by_side(first: list[Any], data: st.DataObject) -> None:
    second = data.draw(st.permutations(first))
    points = list(Block.model_validate({"zip": {"a": first, "b": second}}).points())
    listed = [{"a": a, "b": b} for a, b in zip(first, second, strict=True)]
    assert points == listed == list(Block.model_validate({"list": listed}).points())


rules = st.lists(st.dictionaries(st.sampled_from("abc"), scalars, max_size=2), max_size=3)


@given(blocks(), rules, st.randoms())
def test_exclude_keeps_what_no_rule_matches_in_any_order_of_rules(
    block: Block, exclude: list[dict[str, Any]], luck: Any
) -> None:
    kept = expand_or_nothing([block], exclude)
    shuffled = luck.sample(exclude, len(exclude))
    assert texts(expand_or_nothing([block], shuffled)) == texts(kept)
    for point in expand_or_nothing([block]):
        hit = any(rule and rule.items() <= point.items() for rule in exclude)
        assert (point in kept) != hit


def test_no_axes_are_one_empty_point() -> None:
    assert expand([]) == [{}]


def test_too_many_points_are_refused_before_they_are_made() -> None:
    wide = {name: list(range(1000)) for name in "abcd"}
    with pytest.raises(ValueError, match=f"1000000000000 points, more than {MAX_POINTS}"):
        expand([Block(grid=wide)])
    with pytest.raises(ValueError, match=f"more than {MAX_POINTS}"):
        expand([Block(grid=wide), Block.model_validate({"list": []})])


def test_one_field_belongs_to_one_block() -> None:
    with pytest.raises(ValueError, match="two blocks set 'a'"):
        expand([Block(grid={"a": [1]}), Block.model_validate({"zip": {"a": [2]}})])


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"grid": {"a": [1]}, "zip": {"b": [1]}},
        {"grid": {"a": []}},
        {"zip": {"a": [1, 2], "b": [1]}},
        {"union": []},
        {"grid": {"A b": [1]}},
        {"grid": {"a.": [1]}},
        {"gird": {"a": [1]}},
    ],
)
def test_misshapen_blocks_are_refused(block: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Block.model_validate(block)


def test_a_point_sets_dotted_fields_and_leaves_the_rest() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert apply_point(base, {"a.b": 9, "e.f": 4}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": {"f": 4}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


def test_a_field_and_one_within_it_give_the_same_in_any_order() -> None:
    """`part` and `part.h` on two axes: the part is set first, whichever is written first."""
    point = {"part.h": 0.5, "part": {"kind": "partial"}}
    for items in itertools.permutations(point.items()):
        assert apply_point({}, dict(items)) == {"part": {"kind": "partial", "h": 0.5}}


def test_a_dotted_name_through_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="leads through 'a'"):
        apply_point({"a": 1}, {"a.b": 2})
