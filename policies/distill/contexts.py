"""Contexts: boxes of link conditions within which a policy's return is alike.

SymbolicPCC clusters the conditions of its roll-outs by return into four contexts that do not
overlap, and trains an agent in each (Sharan et al., NeurIPS 2022, Fig. 3). How it clusters is not
published. Here contexts are the leaves of a regression tree (CART; Breiman et al., 1984) from the
conditions of links to a policy's share of the ideal: boxes, so that an environment can draw links
of one context alone.

A box holds its lower ends and not its upper ones, and ends that the tree did not cut are infinite,
so every link that there can be lies in exactly one context, also one that no environment draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.distill.narrowing import NARROWED
from policies.distill.storage import read_json, write_json
from policies.distill.worlds import CORRECTED, World
from policies.registry import UnknownNameError
from sim.net.problems import number, whole

CONDITIONS = tuple(NARROWED)
"""What a link is, in the words of `Batch.links`."""
MOST_CONTEXTS = 64
MOST = 1e12
"""No finite end of a box is larger in magnitude."""
LEAST_SHARE = 0.05
"""Least share of links in a context, unless told otherwise."""
DIGITS = 17
"""Significant digits that tell any two floats apart."""

Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Context:
    """A box of link conditions.

    Attributes:
        ranges: condition -> (lowest, what it stays below), infinite where open; a condition that
            is absent may be anything.

    Raises:
        UnknownNameError: there is no such condition.
        ValueError: a range holds nothing, or an end is NaN or larger than 1e12.
    """

    ranges: Mapping[str, Range]

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if name not in CONDITIONS:
                raise UnknownNameError("condition", name, CONDITIONS)
            sound = all(math.isinf(end) or abs(end) <= MOST for end in (low, high))
            if not sound or not low < high:
                raise ValueError(
                    f"{name}: a range must be (lowest, what it stays below) with the lowest the"
                    f" smaller one, each infinite or within {MOST:g} of zero; got ({low}, {high})"
                )
        known = {name: self.limits(name) for name in CONDITIONS}
        cut = {name: ends for name, ends in known.items() if ends != EVERYTHING}
        object.__setattr__(self, "ranges", cut)

    def limits(self, name: str) -> Range:
        """Return the range of a condition, cut or not."""
        low, high = self.ranges.get(name, EVERYTHING)
        return float(low), float(high)

    @property
    def text(self) -> str:
        """The box in words."""
        parts = []
        for name, (low, high) in self.ranges.items():
            ends = [f"from {low:.12g}"] if low > -math.inf else []
            ends += [f"below {high:.12g}"] if high < math.inf else []
            parts.append(f"{name} {' and '.join(ends)}")
        return ", ".join(parts) or "any link"

    def holds(self, conditions: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Return bool[n]: which of n links lie in the box.

        Raises:
            ValueError: as `columns`.
        """
        known = columns(conditions)
        held = np.ones(len(known[CONDITIONS[0]]), np.bool_)
        for name, (low, high) in self.ranges.items():
            held &= (known[name] >= low) & (known[name] < high)
        return held

    def world(self, whole: World) -> World:
        """Return the same environment with only those of its links that the box holds.

        What is drawn is rounded (to bits/s, nanoseconds, packets), so the ends of the ranges are
        set in by what rounding could take across: each link drawn is held, without exception.

        Raises:
            ValueError: no link of `whole` lies in the box, or it is another environment than
                triptych/Pcc-v1.
        """
        if whole.environment != CORRECTED:
            raise ValueError(f"contexts are of links of {CORRECTED}, got {whole.environment}")
        changes = {}
        for name, box in self.ranges.items():
            field, narrowed = NARROWED[name]
            drawn = getattr(whole.config, field)
            if (left := narrowed(box, drawn)) is None:
                raise ValueError(
                    f"no link of {field} {drawn} has {name} within [{box[0]:g}, {box[1]:g})"
                )
            changes[field] = left
        return replace(whole, config=replace(whole.config, **changes))


def columns(conditions: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Return condition -> float64[n] of n links, checked.

    Raises:
        ValueError: one is missing, not of one length with the others, or not finite.
    """
    found = {}
    for name in CONDITIONS:
        if name not in conditions:
            raise ValueError(f"conditions: {name} is missing (needed: {', '.join(CONDITIONS)})")
        values = np.asarray(conditions[name], np.float64)
        if values.ndim != 1 or (found and len(values) != len(found[CONDITIONS[0]])):
            raise ValueError(f"conditions: {name} must have one value per link")
        if not np.isfinite(values).all():
            raise ValueError(f"conditions: {name} holds a value that is not finite")
        found[name] = values
    return found


# paper: symbolicpcc clustering
def find_contexts(
    conditions: Mapping[str, NDArray[Any]],
    share: NDArray[Any],
    count: int,
    by: Sequence[str] = CONDITIONS,
    least: float = LEAST_SHARE,
) -> tuple[Context, ...]:
    """Return contexts of alike share, the one with the highest mean first.

    Each cut is the number of fewest digits that has the same links on either side as the tree's.

    Args:
        conditions: condition -> [n] of n links.
        share: float[n], share of the ideal that a policy got on them.
        count: contexts at most; fewer where nothing is left to tell apart. 1: one that holds all.
        by: conditions that may be cut.
        least: of the links, the share that a context has at least.

    Raises:
        ValueError: conditions as `columns`, a share that is not finite, no link, or a parameter
            out of range; the message names it.
        UnknownNameError: `by` holds what is no condition.
    """
    known, shares = columns(conditions), np.asarray(share, np.float64)
    links = len(known[CONDITIONS[0]])
    whole("find_contexts", "count", count, 1, MOST_CONTEXTS)
    number("find_contexts", "least", least, below=1.0)
    for name in by:
        if name not in CONDITIONS:
            raise UnknownNameError("condition", name, CONDITIONS)
    if not by or len(set(by)) < len(by):
        raise ValueError(f"by: must name conditions, each once, got {tuple(by)}")
    if shares.shape != (links,) or not links or not np.isfinite(shares).all():
        raise ValueError(f"share: must be one finite number for each of {links} links, at least 1")
    if count == 1:
        return (Context({}),)
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(
        max_leaf_nodes=count, min_samples_leaf=max(1, math.ceil(least * links)), random_state=0
    )
    # In ranks, since the tree compares in float32 and takes values within 1e-7 for one.
    ranks = {name: np.unique(known[name], return_inverse=True)[1] for name in by}
    model.fit(np.stack(list(ranks.values()), axis=1), shares)
    values = {name: known[name] for name in by}
    leaves = list(_leaves(model.tree_, values, ranks, np.arange(links), {}))
    leaves.sort(key=lambda leaf: -shares[leaf[0]].mean())
    return tuple(Context(box) for _, box in leaves)


def _leaves(
    fitted: Any,
    values: Mapping[str, NDArray[np.float64]],
    ranks: Mapping[str, NDArray[np.int64]],
    links: NDArray[np.int64],
    box: Mapping[str, Range],
    place: int = 0,
) -> Iterator[tuple[NDArray[np.int64], Mapping[str, Range]]]:
    """Yield the links and the box of each leaf of scikit-learn's tree below node `place`."""
    left, right = int(fitted.children_left[place]), int(fitted.children_right[place])
    if left < 0:
        yield links, box
        return
    name = tuple(values)[int(fitted.feature[place])]
    column = values[name][links]
    below = ranks[name][links] <= float(fitted.threshold[place])
    cut = simplest(float(column[below].max()), float(column[~below].min()))
    low, high = box.get(name, EVERYTHING)
    yield from _leaves(fitted, values, ranks, links[below], {**box, name: (low, cut)}, left)
    yield from _leaves(fitted, values, ranks, links[~below], {**box, name: (cut, high)}, right)


def simplest(below: float, above: float) -> float:
    """Return a number in (below, above] of few digits, near the middle; whole where both are."""
    middle = below + (above - below) / 2.0
    tries = (float(f"{middle:.{digits - 1}e}") for digits in range(1, DIGITS + 1))
    cut = next((value for value in tries if below < value <= above), above)
    return float(math.ceil(cut)) if below.is_integer() and above.is_integer() else cut


def label(contexts: Sequence[Context], conditions: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return int64[n]: the number of the context that each of n links lies in.

    Raises:
        ValueError: conditions as `columns`; or a link lies in none, or in several.
    """
    if not contexts:
        raise ValueError("contexts: there are none; one that holds any link is Context({})")
    held = np.array([context.holds(conditions) for context in contexts], np.bool_)
    times = held.sum(axis=0)
    if (times != 1).any():
        place = int(np.flatnonzero(times != 1)[0])
        raise ValueError(
            f"link {place} lies in {times[place]} of {len(held)} contexts; they must divide all"
            " links"
        )
    return held.argmax(axis=0).astype(np.int64)


def check_division(contexts: Sequence[Context]) -> None:
    """Check that every possible link lies in exactly one context.

    Counted in cells of the grid that all ends make, so without rounding.

    Raises:
        ValueError: two overlap, or together they leave something out.
    """
    ends = {
        name: sorted({*EVERYTHING, *(end for context in contexts for end in context.limits(name))})
        for name in CONDITIONS
    }
    spans = [
        [tuple(ends[name].index(end) for end in context.limits(name)) for name in CONDITIONS]
        for context in contexts
    ]
    for i, one in enumerate(spans):
        for j, other in enumerate(spans[:i]):
            if all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(one, other, strict=True)):
                raise ValueError(f"contexts {j} and {i} overlap; they must divide all links")
    cells = math.prod(len(cuts) - 1 for cuts in ends.values())
    if sum(math.prod(b - a for a, b in span) for span in spans) < cells:
        raise ValueError("contexts leave out some links; they must divide all links")


def write_contexts(
    path: Path, contexts: Sequence[Context], told: Mapping[str, Any] | None = None
) -> None:
    """Put contexts at `path` as JSON, with what else is told of them."""
    boxes = [
        {n: [None if math.isinf(e) else e for e in c.limits(n)] for n in c.ranges} for c in contexts
    ]
    write_json(path, {**(told or {}), "contexts": boxes})


def read_contexts(path: Path) -> tuple[Context, ...]:
    """Return the contexts that `write_contexts` put at `path`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no contexts, or such as do not divide all links; the message names it.
    """
    return contexts_of(read_json(path).get("contexts"), str(path))


def contexts_of(value: Any, where: str) -> tuple[Context, ...]:
    """Return contexts from the JSON values that `write_contexts` made of them.

    Raises:
        ValueError: they are none, or do not divide all links; the message begins with `where`.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_CONTEXTS:
        raise ValueError(f"{where}: contexts must be a list of 1 to {MOST_CONTEXTS} boxes")
    found = []
    for place, box in enumerate(value):
        if not isinstance(box, dict):
            raise ValueError(f"{where}: contexts[{place}] must be an object of ranges")
        try:
            found.append(Context({str(n)[:60]: _ends(n, ends) for n, ends in box.items()}))
        except (LookupError, ValueError) as error:
            raise ValueError(f"{where}: contexts[{place}]: {error}") from None
    try:
        check_division(found)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return tuple(found)


def _ends(name: str, value: Any) -> Range:
    """Return a range from JSON, where null stands for an open end."""
    good = isinstance(value, list) and len(value) == 2
    if not good or not all(_is_end(end) for end in value):
        raise ValueError(f"{str(name)[:60]!r}: must be [lowest, what it is below], null for open")
    low, high = value
    return (-math.inf if low is None else float(low), math.inf if high is None else float(high))


def _is_end(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST
