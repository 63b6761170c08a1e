"""The shared parts of figures, on numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.figures import parts
from experiments.figures.style import INK, look, looks, styled


def test_a_summary_is_the_mean_over_seeds_in_order_of_appearance() -> None:
    frame = pd.DataFrame({"g": ["b", "b", "a", "a"], "v": [1.0, 3.0, 5.0, None]})
    found = parts.summarise(frame, ["g"], "v")
    assert found["g"].tolist() == ["b", "a"]
    assert found["mean"].tolist() == [2.0, 5.0]
    assert found["n"].tolist() == [2, 1]
    assert pd.isna(found["low"][1])


def test_a_summary_of_nothing_is_empty() -> None:
    found = parts.summarise(pd.DataFrame({"g": [], "v": []}), ["g"], "v")
    assert list(found) == ["g", "mean", "low", "high", "n"]
    assert not len(found)


def test_bars_stand_side_by_side_and_start_at_the_base() -> None:
    rows = [
        ("x", "a", 1.2, 1.1, 1.3, 3),
        ("x", "b", 0.9, None, None, 1),
        ("y", "a", 1.0, 1.0, 1.0, 3),
    ]
    summary = pd.DataFrame(rows, columns=["g", "s", "mean", "low", "high", "n"])
    with styled():
        axes = parts.new_figure(4, 3).subplots()
        places = parts.bars(axes, summary, "g", "s", looks(["a", "b"]), base=1.0)
    assert places == {"x": 0.0, "y": 1.0}
    assert [p.get_height() for p in axes.patches] == pytest.approx([0.2, 0.0, -0.1])
    assert len(axes.lines) == 2  # the two caps of the one whisker


def test_time_bins_weigh_by_time_and_end_with_the_run() -> None:
    found = parts.time_bins(
        np.array([0.0, 1.0, 3.0]),
        np.array([1.0, 2.0, 0.5]),
        np.array([1.0, 0.0, 0.4]),
        np.array([0.0, 2.0, 4.0, 6.0]),
    )
    assert found[:2].tolist() == pytest.approx([0.5, 0.2 / 1.5])
    assert np.isnan(found[2])


def test_time_bins_keep_the_total() -> None:
    rng = np.random.default_rng(7)
    lasting, values = rng.uniform(0.01, 1, 300), rng.uniform(0, 1, 300)
    ends = np.cumsum(lasting)
    edges = np.linspace(0, ends[-1], 41)
    found = parts.time_bins(ends - lasting, lasting, values, edges)
    assert float((found * np.diff(edges)).sum()) == pytest.approx(float((values * lasting).sum()))


def test_a_series_ignores_runs_that_have_ended() -> None:
    with styled():
        axes = parts.new_figure(4, 3).subplots()
        runs = [np.array([1.0, 1.0, np.nan]), np.array([3.0, np.nan, np.nan])]
        parts.time_series(axes, np.arange(3.0), runs, "#888888", "use")
    drawn = np.ma.masked_invalid(np.asarray(axes.lines[0].get_ydata()))
    assert drawn[:2].tolist() == [2.0, 1.0]
    assert np.ma.getmaskarray(drawn)[2]


def test_a_heat_map_writes_its_numbers_and_leaves_holes_empty() -> None:
    with styled():
        axes = parts.new_figure(4, 3).subplots()
        parts.heat_map(axes, np.array([[1.0, np.nan], [3.0, 4.0]]), ["a", "b"], ["c", "d"])
    assert [t.get_text() for t in axes.texts] == ["1.00", "3.00", "4.00"]


def test_the_paper_is_named_once_in_the_legend() -> None:
    with styled():
        axes = parts.new_figure(4, 3).subplots()
        parts.paper_marker(axes, 0, 1.0)
        parts.paper_marker(axes, 1, 2.0, at_least=True)
    assert axes.get_legend_handles_labels()[1] == ["paper (printed)"]


def test_policies_look_the_same_everywhere_and_never_alike() -> None:
    names = ["blendserve", "prefix_dfs", "longest_first", "shuffled", "arrival", "mine", "yours"]
    found = looks(names)
    assert found["blendserve"] == look("blendserve")
    assert len({own.colour for own in found.values()}) == len(names)
    assert len({own.marker for own in found.values()}) == len(names)
    assert INK not in {own.colour for own in found.values()}


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("page", ["#ffffff", "#101418"])
def test_every_colour_stands_out_from_light_and_dark_pages(page: str) -> None:
    from experiments.figures import style

    colours = [c for c, _ in (*style._POLICIES.values(), *style._SPARE)]
    for colour in [*colours, style.COMPUTE, style.MEMORY]:
        low, high = sorted((_luminance(colour), _luminance(page)))
        assert (high + 0.05) / (low + 0.05) >= 3, colour
