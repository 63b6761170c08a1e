"""Rows of roll-outs keep their links: chosen, joined, thinned; others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distill.rollouts import (
    Rollouts,
)
from tests.distill.rollout_samples import content, luck, made


def keeps_its_links(rollouts: Rollouts) -> bool:
    names = rollouts.inputs[:, 0].astype(np.float64)
    known = rollouts.conditions["bandwidth_bps"]
    return bool(
        (known[rollouts.links] == names).all()
        and (rollouts.conditions["delay_s"] == known / 3.0).all()
        and (rollouts.share == -known / 7.0).all()
    )


sizes = st.integers(1, 12), st.integers(0, 60)


@given(links=sizes[0], rows=sizes[1], data=st.data())
def test_chosen_links_have_their_rows_and_no_others(
    links: int, rows: int, data: st.DataObject
) -> None:
    whole = made(links, rows, links)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=links, max_size=links)))
    part = whole.of_links(mask)
    assert keeps_its_links(part)
    assert len(part.share) == mask.sum()
    assert (part.labels == whole.labels[mask[whole.links]]).all()
    other = whole.of_links(~mask)
    assert len(part) + len(other) == rows


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=5))
def test_joined_parts_keep_their_links_apart(shapes: list[tuple[int, int]]) -> None:
    parts = [
        made(links, rows if links else 0, i, first=100 * i)
        for i, (links, rows) in enumerate(shapes)
    ]
    whole = Rollouts.joined(*parts)
    assert content(parts[0].joined(*parts[1:])) == content(whole)
    assert keeps_its_links(whole)
    assert len(whole) == sum(map(len, parts))
    names = np.concatenate([part.conditions["bandwidth_bps"] for part in parts])
    assert (whole.conditions["bandwidth_bps"] == names).all()
    ends = np.cumsum([0, *(len(part.share) for part in parts)])
    for part, first, last in zip(parts, ends, ends[1:], strict=False):
        places = np.arange(len(whole.share))
        mask = (places >= first) & (places < last)
        assert content(whole.of_links(mask)) == content(part)


@given(*sizes, st.integers(0, 70), st.integers(0, 5))
def test_thinned_rows_are_some_of_them_in_order(
    links: int, rows: int, wanted: int, seed: int
) -> None:
    whole = made(links, rows, links)
    thin = whole.thinned(wanted, luck(seed))
    assert len(thin) == min(wanted, rows)
    assert keeps_its_links(thin)
    assert len(thin.share) == links
    assert (np.diff(thin.labels) > 0).all()
    places = np.rint(thin.labels.astype(float) * rows).astype(int)
    assert (thin.inputs == whole.inputs[places]).all()
    assert (thin.steps == whole.steps[places]).all()
    assert content(thin) == content(whole.thinned(wanted, luck(seed)))


def test_every_row_is_as_likely_to_stay() -> None:
    whole, draws = made(3, 40), luck()
    counts = np.zeros(40)
    for _ in range(2000):
        thin = whole.thinned(10, draws)
        counts[np.rint(thin.labels * 40).astype(int)] += 1
    # Binomial of 2000 at 1/4: standard deviation 19.4.
    assert counts == pytest.approx(np.full(40, 500.0), abs=5 * 19.4)


def test_bad_masks_and_counts_are_refused() -> None:
    whole = made(4, 10)
    for mask in (np.ones(3, bool), np.ones(4), np.array([0, 1, 2, 3]), np.ones((4, 1), bool)):
        with pytest.raises(ValueError, match="mask: must be a bool for each of 4 links"):
            whole.of_links(mask)
    with pytest.raises(ValueError, match="rows must be an integer of 0"):
        whole.thinned(-1, luck())
    other = Rollouts(
        *(getattr(whole, n) for n in ("inputs", "labels", "links", "steps")), {}, whole.share
    )
    with pytest.raises(ValueError, match="cannot be joined to bandwidth_bps, delay_s"):
        whole.joined(other)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "inputs: must be of shape": lambda of: of.update(inputs=of["inputs"][:, 1:]),
    "inputs: must be finite": lambda of: of["inputs"].__setitem__((3, 4), np.nan),
    "labels: must be finite numbers of -1 to 1": lambda of: of["labels"].__setitem__(2, 1.5),
    "labels: must be finite numbers": lambda of: of["labels"].__setitem__(2, np.nan),
    "links: must be of shape": lambda of: of.update(links=of["links"][1:]),
    "links: must be finite numbers of 0 to 3": lambda of: of["links"].__setitem__(0, 4),
    "links: .*got -1": lambda of: of["links"].__setitem__(0, -1),
    "steps: must be finite numbers of 0": lambda of: of["steps"].__setitem__(9, -1),
    "share: must be finite": lambda of: of["share"].__setitem__(1, -np.inf),
    "condition 'delay_s': must be of shape": lambda of: of["conditions"].update(
        delay_s=np.zeros(5)
    ),
    "condition 'delay_s': must be finite": lambda of: of["conditions"].update(
        delay_s=np.full(4, np.nan)
    ),
    "inputs: must be of shape .10, 31.": lambda of: of.update(inputs=np.zeros(())),
}


def fields_of(rollouts: Rollouts) -> dict[str, Any]:
    names = ("inputs", "labels", "links", "steps", "share")
    fields: dict[str, Any] = {name: getattr(rollouts, name).copy() for name in names}
    return fields | {"conditions": dict(rollouts.conditions)}


@pytest.mark.parametrize("message", CHANGES)
def test_what_does_not_fit_together_cannot_be_made(message: str) -> None:
    fields = fields_of(made(4, 10))
    CHANGES[message](fields)
    with pytest.raises(ValueError, match=message) as caught:
        Rollouts(**fields)
    assert "\n" not in str(caught.value)


def test_wider_numbers_are_narrowed_and_others_refused() -> None:
    fields = fields_of(made(4, 10))
    wide = {
        "inputs": fields["inputs"].astype(np.float64),
        "links": fields["links"].astype(np.int64),
        "conditions": {"bandwidth_bps": np.arange(4), "delay_s": np.arange(4) / 3.0},
    }
    assert content(Rollouts(**{**fields, **wide})) == content(made(4, 10))
    with pytest.raises(TypeError):
        Rollouts(**{**fields, "links": fields["links"].astype(np.float64)})
