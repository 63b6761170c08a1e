"""The dual scanner's parts: changing split, budgets, relocation, nodes, charge of prefixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import serving_ablation
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

WORDS: dict[tuple[str, Any], str] = {
    ("scan", "fixed"): "split fixed at the start",
    ("scan", "left"): "from the left only",
    ("budgets", False): "no prefill budgets",
    ("relocate", 0.0): "no relocation",
    ("relocate", 4.0): "relocation at 4 x the estimate",
    ("unit", "request"): "densities of requests",
    ("merge", False): "nodes not merged",
    ("charge", "shared"): "shared prompts charged once",
}
DEFAULT = "as by default"


def label(config: dict[str, Any]) -> str:
    """Return what differs from the default."""
    given = serving_ablation.parameters_of(config)
    return ", ".join(WORDS[item] for item in given.items()) or DEFAULT


ABLATION = serving_ablation.Ablation(label, DEFAULT, "Dual scanner, one part changed")


def draw(results: Results) -> Figure:
    """Draw the ablation."""
    return serving_ablation.draw(results, ABLATION)


def points(results: Results) -> pd.DataFrame:
    """Return its marks."""
    return serving_ablation.points(results, ABLATION)
