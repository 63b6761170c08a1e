"""What is told of a policy that was judged on links: its shares of the ideal reward, and what else.

Shares are those of `policies.distill.judge`, with intervals over links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.kinds.base import Scalar

if TYPE_CHECKING:
    from policies.distill.judge import Judged

JUDGED = {
    "share_median": "1; median test link's share of the ideal reward; higher is better",
    "share_median_low": "1; lower end of its 95 % interval over links",
    "share_median_high": "1; upper end",
    "share_ratio_of_means": "1; mean reward / mean ideal on test links; higher is better",
    "share_ratio_of_means_low": "1; lower end of its 95 % interval over links",
    "share_ratio_of_means_high": "1; upper end",
    "utilisation": "1; throughput / capacity on test links; higher is better",
    "latency_inflation": "1; RTT / base RTT - 1 on test links; lower is better",
    "loss": "1; packets lost / settled on test links, random loss included; lower is better",
}
"""Metric -> its unit and meaning."""


def judged_metrics(judged: Judged) -> dict[str, Scalar]:
    """Return the metrics `JUDGED`."""
    found: dict[str, Scalar] = {}
    for name, interval in (
        ("share_median", judged.share_median()),
        ("share_ratio_of_means", judged.share_ratio()),
    ):
        found |= {
            name: interval.value,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
        }
    return {
        **found,
        "utilisation": judged.mean("utilisation").value,
        "latency_inflation": judged.mean("inflation").value,
        "loss": judged.mean("loss").value,
    }


def link_table(judged: Judged) -> dict[str, list[float]]:
    """Return a row per link: its conditions, and what the policy made of it."""
    columns = {name: [float(v) for v in values] for name, values in judged.links.items()}
    for name in ("share", "utilisation", "loss"):
        columns[name] = [float(v) for v in getattr(judged, name)]
    return columns
