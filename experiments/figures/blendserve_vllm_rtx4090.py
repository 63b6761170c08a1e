"""A recorded vLLM run beside its replay: state over time, times of requests, relative errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, summarise, time_series
from experiments.figures.style import INK, look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS = "simulated"
THEIRS = "recorded (vLLM)"
GAUGES = {"running": "running requests", "waiting": "waiting requests", "kv_share": "KV blocks"}
TIMES = {"first_s": "first token", "last_s": "last token"}
COLOURS = {"first_s": look("prefix_dfs").colour, "last_s": look("blendserve").colour}
ERRORS = {
    "makespan_s": "makespan",
    "throughput_tokens_s": "throughput",
    "latency_mean_s": "latency, mean",
    "latency_p50_s": "latency, P50",
    "latency_p90_s": "latency, P90",
    "latency_p95_s": "latency, P95",
    "ttft_mean_s": "first token, mean",
    "ttft_p90_s": "first token, P90",
    "tpot_mean_s": "per token, mean",
    "tpot_p90_s": "per token, P90",
}
DEMANDED = {"makespan_s": 3, "throughput_tokens_s": 3, "latency_mean_s": 5, "latency_p90_s": 5}


def draw(results: Results) -> Figure:
    """Draw the state over time at the left, requests and errors at the right."""
    figure = new_figure(11.5, 6.8)
    rows: list[Any] = [[name, "requests"] for name in GAUGES for _ in range(2)]
    rows[3:] = [[name, "errors"] for name, _ in rows[3:]]
    mosaic = figure.subplot_mosaic(rows, width_ratios=(2, 1.1))
    for name, label in GAUGES.items():
        _gauge(mosaic[name], results, name, label)
    mosaic["running"].set_title("State of the engine, at each recorded second")
    mosaic["running"].legend(loc="lower center", ncols=2)
    mosaic["kv_share"].set_xlabel("s since the first request was queued")
    _requests(mosaic["requests"], results)
    _errors(mosaic["errors"], _summary(results))
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the errors drawn, in per cent."""
    return _summary(results)


def _gauge(axes: Axes, results: Results, name: str, label: str) -> None:
    from matplotlib.ticker import PercentFormatter

    frames = [results.series("over_time", [run_id]) for run_id in results.run_ids]
    at = frames[0]["time_s"].to_numpy()
    runs = [frame[name].to_numpy() for frame in frames]
    time_series(axes, at, runs, look("blendserve").colour, OURS)
    axes.plot(at, frames[0][f"recorded_{name}"], color=INK, linewidth=0.9, alpha=0.8, label=THEIRS)
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelbottom=name == "kv_share")
    if name == "kv_share":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _requests(axes: Axes, results: Results) -> None:
    frame = results.series("requests", results.run_ids[:1])
    for name, label in TIMES.items():
        took = frame[name] - frame["queued_s"]
        measured = frame[f"recorded_{name}"] - frame["recorded_queued_s"]
        axes.plot(measured, took, ".", color=COLOURS[name], markersize=4, alpha=0.55, label=label)
    top = axes.get_xlim()[1]
    axes.plot([0, top], [0, top], color=INK, linewidth=0.8, alpha=0.6)
    axes.set_title("Each request, from its queueing (seed 0)")
    axes.set_xlabel("recorded, s")
    axes.set_ylabel("simulated, s")
    axes.legend(loc="upper left")


def _errors(axes: Axes, summary: pd.DataFrame) -> None:
    names = list(summary["metric"])
    at = range(len(names))
    for place, row in zip(at, summary.to_dict("records"), strict=True):
        allowed = DEMANDED.get(row["key"])
        if allowed is not None:
            axes.barh(place, 2 * allowed, 0.8, left=-allowed, color=INK, alpha=0.12)
        axes.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.2)
        axes.plot([row["mean"]], [place], "o", color=look("blendserve").colour)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(at, names)
    axes.invert_yaxis()
    axes.set_xlim(-6, 6)
    axes.set_title("Error against the recorded run")
    axes.set_xlabel("%; lines: 95 % interval; grey: demanded")
    axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)


def _summary(results: Results) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for key, label in ERRORS.items():
        column = 100 * results.table.loc[:, f"{key}_error"]
        frame = pd.DataFrame({"metric": label, "key": key, "value": column})
        parts.append(summarise(frame, ["metric", "key"], "value"))
    return pd.concat(parts, ignore_index=True)
