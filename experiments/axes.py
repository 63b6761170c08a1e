"""Axes of a sweep to its points: pure functions, no randomness, order as written.

A block is one of `grid` (all combinations), `zip` (values side by side), `list` (points spelled
out) or `union` (blocks one after the other). A sweep is the product of its blocks, without the
points that match an entry of `exclude`, and without repeated points.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_POINTS = 200_000
"""Most points of a sweep, and most runs of an experiment."""

Point = dict[str, Any]
AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
Values = Annotated[list[Any], Field(min_length=1)]


class Block(BaseModel):
    """One factor of a sweep; exactly one of its fields is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grid: dict[AxisName, Values] | None = Field(
        default=None, description="all combinations of the values"
    )
    zipped: dict[AxisName, Values] | None = Field(
        default=None, alias="zip", description="values taken side by side"
    )
    listed: list[dict[AxisName, Any]] | None = Field(
        default=None, alias="list", description="points spelled out"
    )
    union: Annotated[list[Block], Field(min_length=1)] | None = Field(
        default=None, description="blocks whose points are put one after the other"
    )

    @model_validator(mode="after")
    def _one_shape(self) -> Block:
        given = list(self._given())
        if len(given) != 1:
            raise ValueError(f"a block has exactly one of grid, zip, list, union; found {given}")
        if self.zipped is not None and len({len(v) for v in self.zipped.values()}) > 1:
            lengths = {name: len(values) for name, values in self.zipped.items()}
            raise ValueError(f"zip needs lists of equal length, found {lengths}")
        return self

    def _given(self) -> dict[str, Any]:
        fields = {"grid": self.grid, "zip": self.zipped, "list": self.listed, "union": self.union}
        return {shape: value for shape, value in fields.items() if value is not None}

    @property
    def shape(self) -> str:
        """Which of the four fields is given: grid, zip, list or union."""
        return next(iter(self._given()))

    def sets(self, name: str) -> bool:
        """Say whether the block gives the field `name` a value."""
        if self.union is not None:
            return any(block.sets(name) for block in self.union)
        if self.listed is not None:
            return any(name in point for point in self.listed)
        return name in (self.grid or self.zipped or {})

    def count(self) -> int:
        """Return the number of points, without making them."""
        if self.grid is not None:
            return math.prod(len(values) for values in self.grid.values())
        if self.zipped is not None:
            return len(next(iter(self.zipped.values()), []))
        if self.listed is not None:
            return len(self.listed)
        return sum(block.count() for block in self.union or ())

    def points(self) -> Iterator[Point]:
        """Yield the points in the order written; the last axis of a grid varies fastest."""
        if self.grid is not None:
            for values in itertools.product(*self.grid.values()):
                yield dict(zip(self.grid, values, strict=True))
        elif self.zipped is not None:
            for values in zip(*self.zipped.values(), strict=True):
                yield dict(zip(self.zipped, values, strict=True))
        elif self.listed is not None:
            yield from map(dict, self.listed)
        else:
            for block in self.union or ():
                yield from block.points()


def expand(blocks: Sequence[Block], exclude: Sequence[Point] = ()) -> list[Point]:
    """Return the points of a sweep: dotted field -> value.

    Raises:
        ValueError: more than `MAX_POINTS`, two blocks set one field, or all is excluded.
    """
    counts = [block.count() for block in blocks]
    total = math.prod(counts)
    if max((total, *counts)) > MAX_POINTS:
        total = max((total, *counts))
        raise ValueError(f"the axes make {total} points, more than {MAX_POINTS}")
    points: dict[str, Point] = {}
    for parts in itertools.product(*(block.points() for block in blocks)):
        point = _merge(parts)
        if not any(_matches(point, rule) for rule in exclude):
            points.setdefault(json.dumps(point, sort_keys=True), point)
    if not points:
        raise ValueError("no point is left: the axes are empty or all points are excluded")
    return list(points.values())


def _merge(parts: Sequence[Point]) -> Point:
    point: Point = {}
    for part in parts:
        for name, value in part.items():
            if name in point:
                raise ValueError(f"two blocks set {name!r}; one field belongs to one block")
            point[name] = value
    return point


def _matches(point: Point, rule: Point) -> bool:
    return bool(rule) and all(name in point and point[name] == rule[name] for name in rule)


def apply_point(config: dict[str, Any], point: Point) -> dict[str, Any]:
    """Return a copy of the nested `config` with the dotted fields of `point` set, parents first.

    Raises:
        ValueError: a dotted name leads through something that is not a mapping.
    """
    result = json.loads(json.dumps(config))
    for name, value in sorted(point.items(), key=lambda item: item[0].count(".")):
        *parents, leaf = name.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f"{name!r} leads through {parent!r}, which is not a mapping")
        place[leaf] = value
    return result
