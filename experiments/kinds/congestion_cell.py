"""A run of `congestion-emulated` in a private world: configuration in, packets and notes out."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emu.traffic import cell as cells
from emu.traffic.controls import Control
from emu.traffic.flows import Flow, Told
from emu.world import run_private
from emu.world.inside import folder
from experiments.kinds.congestion_account import as_result
from experiments.kinds.congestion_config import CongestionConfig
from experiments.kinds.congestion_scenario import scenario_of
from sim.net import result as r
from sim.net.scenario import Flow as Sender
from sim.net.scenario import Scenario

ENTRY = f"{__name__}:inside"
_SPARE_S = 90.0
SECOND = 1e9


@dataclass(frozen=True)
class Ran:
    """What an emulated run gives.

    Attributes:
        result: as the packet engine would give it, from the link's account.
        sockets: columns of the kernel's own view over time: one row per flow and sample.
        retransmits: segments that senders sent again, over all flows and the whole run; None: a
            sender did not say.
        sender_rtt_ms: mean of the kernel's smoothed RTTs after the warm-up; None: no sample.
        measured: what the link was before, and how late packets left.
        notes: sentences on how it was done.
    """

    result: r.Result
    sockets: dict[str, list[Any]]
    retransmits: int | None
    sender_rtt_ms: float | None
    measured: dict[str, float]
    notes: list[str]


def emulate(config: CongestionConfig, policy: str, seed: int) -> Ran:
    """Run a scenario with real packets.

    Raises:
        EmulationError: this machine cannot, or the link was not the one asked for.
        ScenarioError: a field, or a controller's parameter, is out of range.
        ValueError: a flow sent nothing.
    """
    from sim.net import luck  # compiled code, which no world needs to load

    scenario = scenario_of(config, policy, seed)
    with tempfile.TemporaryDirectory(prefix="triptych-cell-") as place:
        file = Path(place) / "packets.npy"
        request = {"config": config.model_dump(mode="json"), "policy": policy, "seed": seed}
        request |= {"file": str(file), "loss_seed": int(luck.seeds(scenario)["loss"][0])}
        told = run_private(ENTRY, request, timeout_s=config.duration_s + _SPARE_S)
        packets = np.load(file, allow_pickle=False)
    result = as_result(scenario, packets, told["sources"])
    result.check_accounts()
    _enter_timeouts(result, told["sockets"], config.warmup_s)
    return Ran(
        result=result,
        sockets=told["sockets"],
        retransmits=told["retransmits"],
        sender_rtt_ms=_mean_rtt(told["sockets"], config.warmup_s),
        measured=told["measured"],
        notes=told["notes"],
    )


def inside(request: dict[str, Any], note: Callable[[Any], None]) -> dict[str, Any]:
    """Emulate the request's cell; the account goes into its file. Invoked in a private world."""
    del note
    from experiments.kinds.congestion_emulated import EmulatedConfig

    config = EmulatedConfig.model_validate(request["config"])
    scenario = scenario_of(config, request["policy"], request["seed"])
    done = cells.run(_cell(config, scenario, request["loss_seed"]), folder())
    np.save(request["file"], done.packets, allow_pickle=False)
    reports = [told.report for told in done.told]
    known = [report.retransmits for report in reports if report is not None]
    names = [flow.name for flow in scenario.flows]
    return {
        "sources": done.sources,
        "sockets": _columns(names, done.told),
        "retransmits": sum(known) if len(known) == len(reports) else None,
        "measured": _measured(done),
        "notes": [done.shaper, *_lateness(done)],
    }


def _cell(config: CongestionConfig, scenario: Scenario, loss_seed: int) -> cells.Cell:
    extra_ms = [*(config.extra_rtt_ms or [0.0] * config.flows)]
    extra_ms += [other.extra_rtt_ms for other in config.competitors]
    flows = []
    for flow in scenario.flows:
        assert isinstance(flow, Sender)
        control = Control(flow.controller, dict(flow.parameters), flow.start_rate_bps)
        flows.append(Flow(flow.name, control, flow.start_ns / SECOND))
    extra_ns = [round(more * 1e6) for more in extra_ms]
    return cells.Cell(scenario.links[0], flows, config.duration_s, extra_ns, loss_seed)


def _columns(names: Sequence[str], told: Sequence[Told]) -> dict[str, list[Any]]:
    rows = [(i, sample) for i, flow in enumerate(told) for sample in flow.samples]
    return {
        "flow": [i for i, _ in rows],
        "name": [names[i] for i, _ in rows],
        "time_s": [sample.time_s for _, sample in rows],
        "rtt_ms": [sample.rtt_ms for _, sample in rows],
        "cwnd": [sample.cwnd for _, sample in rows],
        "pacing_mbps": [sample.pacing_bps / 1e6 for _, sample in rows],
        "retransmitted_bytes": [sample.retransmitted_bytes for _, sample in rows],
        "timeouts": [sample.timeouts for _, sample in rows],
    }


def _measured(done: cells.Emulated) -> dict[str, float]:
    found = done.checked["measured"]
    named = {
        "checked_rtt_ms": (found.get("rtt_ns"), 1e6),
        "checked_rate_mbps": (found.get("rate_bps"), 1e6),
        "checked_queue_ms": (found.get("queue_ns"), 1e6),
        "late_mean_ms": (done.counters.late_mean_ns, 1e6),
        "late_max_ms": (done.counters.late_max_ns, 1e6),
    }
    known = {k: v / unit for k, (v, unit) in named.items() if v is not None and math.isfinite(v)}
    return {name: float(value) for name, value in known.items()}


def _lateness(done: cells.Emulated) -> list[str]:
    mean, most = done.counters.late_mean_ns / 1e6, done.counters.late_max_ns / 1e6
    return [f"packets left {mean:.2f} ms late on average, {most:.1f} ms at most"]


def _enter_timeouts(result: r.Result, sockets: dict[str, list[Any]], warmup_s: float) -> None:
    """Put the time-outs since the warm-up, as the kernel counts them, among the totals."""
    times, flows = np.array(sockets["time_s"]), np.array(sockets["flow"])
    counts = np.array(sockets["timeouts"], np.int64)
    for flow in range(len(result.totals)):
        own = counts[(flows == flow) & (times >= warmup_s)]
        result.totals[flow, r.TIMEOUTS] = int(own[-1] - own[0]) if len(own) else 0


def _mean_rtt(sockets: dict[str, list[Any]], warmup_s: float) -> float | None:
    pairs = zip(sockets["time_s"], sockets["rtt_ms"], strict=True)
    rtts = [rtt for time, rtt in pairs if time >= warmup_s]
    return float(np.mean(rtts)) if rtts else None
