"""Ratios between layouts are taken pair by pair: same pool, same seed."""

from __future__ import annotations

import pandas as pd
import pytest

from experiments.figures.serving_layouts import against, as_group


def test_ratios_pair_pool_and_seed() -> None:
    """Luck of pool and seed cancels; the base is left out, unpaired runs do not count."""
    rows = [
        {"mix": mix, "seed": seed, "layout": layout, "m": own * (1 + seed) * (3 if mix else 1)}
        for mix in (0, 1)
        for seed in (0, 1)
        for layout, own in (("one", 1.0), ("two", 1.9), ("four", 3.5))
        if (mix, seed, layout) != (1, 1, "one")
    ]
    found = against(pd.DataFrame(rows), "m", "one")
    assert set(found["layout"]) == {"two", "four"}
    assert found.set_index(["mix", "layout"])["n"].to_dict() == {
        (0, "two"): 2,
        (0, "four"): 2,
        (1, "two"): 1,
        (1, "four"): 1,
    }
    two = found.loc[found["layout"] == "two", "mean"]
    assert two.tolist() == pytest.approx([1.9, 1.9])


def test_points_name_pool_and_layout_in_one_line() -> None:
    summary = pd.DataFrame([{"mix": "#1\ndensity 1.4", "layout": "1P1D", "mean": 2.0}])
    flat = as_group(summary, "ratio")
    assert flat.to_dict("records") == [
        {"group": "#1 density 1.4", "policy": "1P1D", "mean": 2.0, "panel": "ratio"}
    ]
