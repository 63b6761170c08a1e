"""How two flows of one controller share an emulated link, with real packets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import emulated_parts, symbolicpcc_fairness
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw the measures above, and one run per policy below; of live cells only their numbers."""
    return symbolicpcc_fairness.draw(emulated_parts.shown(results).results)


def points(results: Results) -> pd.DataFrame:
    """Return the dots, live ones as a situation of their own, and the goodputs over time."""
    import pandas as pd

    parts = emulated_parts.shown(results)
    found = [symbolicpcc_fairness.points(parts.results)]
    if parts.live is not None:
        live = symbolicpcc_fairness.points(parts.live)
        found.append(live.assign(group=[f"{g}, measured just now" for g in live["group"]]))
    return pd.concat(found, ignore_index=True)
