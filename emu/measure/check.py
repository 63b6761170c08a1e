"""Measures a path and refuses one that is not what was asked for.

Tools that set up links may fail without saying so: Mininet's TCLink prints a line and goes on where
the kernel has no netem, and a "10 ms" link answers in 0.07 ms. So nothing runs on a path that was
not measured.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emu.measure.asked import FRAME_BYTES, PING_BYTES, Asked, asked
from emu.problems import EmulationError
from emu.topology.network import Network

PORT = 5300
PING_GAP_S = 0.02
LONGEST_S = 6.0
PROBES, PROBE_S = 1500, 1.5
TELLING = 25
"""Losses expected among the packets of a probe that refuses a link which loses none."""

MOST_BPS = 4e8
"""Beyond it our sender cannot overload a link, and rate and queue are not measured."""

_EASY_BPS = 2e8
"""What our sender offers without half a core."""

SIGMAS = 4.5


@dataclass(frozen=True)
class Tolerance:
    """How far measurements may be off.

    Attributes:
        rtt_ns, rtt_share: the least RTT may be longer by the larger of both (and never shorter).
        rate_share: of the asked rate.
        queue_ns, queue_share: of the delay that a full queue adds; the larger counts.
    """

    rtt_ns: float = 1.5e6
    rtt_share: float = 0.05
    rate_share: float = 0.01
    queue_ns: float = 3e6
    queue_share: float = 0.1


@dataclass(frozen=True)
class Effort:
    """How long measurements take.

    Attributes:
        pings: how many.
        overload: rate that is offered to a link / its own; less where that is beyond our sender.
        fill_s: of overload, beside what it takes to fill the queue twice.
        probes: packets that are sent to a link without random loss to see whether it loses any.
        quiet_s: after the last packet a receiver waits so much longer than the path takes.
    """

    pings: int = 20
    overload: float = 1.6
    fill_s: float = 0.6
    probes: int = PROBES
    quiet_s: float = 0.3


BRIEF = Effort(pings=10, overload=5.0, fill_s=0.25, probes=400, quiet_s=0.15)
"""For cells of a few seconds. Tolerances are the same; the loss that a probe would notice on a link
that should have none is four times as large."""


def check(
    network: Network,
    source: str,
    target: str,
    wanted: Asked | None = None,
    tolerance: Tolerance | None = None,
    effort: Effort | None = None,
) -> dict[str, Any]:
    """Measure the path between two hosts; afterwards counters and losses begin anew.

    Args:
        network: it, idle.
        source: the host that sends.
        target: the host that receives.
        wanted: what the path should be; None: what its layout says.
        tolerance: how far it may be off; None: the defaults.
        effort: how long to measure; None: the defaults.

    Returns:
        {"source", "target", "asked", "measured"}, for the provenance of a run.

    Raises:
        EmulationError: it is not what was asked for: the message says what was asked, what was
            measured and what is likely to be the cause.
    """
    wanted, tolerance = wanted or asked(network.layout, source, target), tolerance or Tolerance()
    effort = effort or Effort()
    path = f"path {source} to {target}"
    measured: dict[str, Any] = {}
    measured["rtt_ns"] = ping(network, source, target, wanted.rtt_ns, effort.pings)
    _check_rtt(path, wanted, measured["rtt_ns"], tolerance)
    if wanted.rate_bps is not None and wanted.rate_bps <= MOST_BPS:
        measured |= _overload(network, source, target, wanted, effort)
        _check_rate(path, wanted, measured, tolerance)
    if wanted.loss is not None:
        measured |= _probe(network, source, target, wanted, effort)
        _check_loss(path, wanted.loss, wanted.loss_burst, measured)
    _check_counters(network)
    network.restart()
    return {"source": source, "target": target, "asked": asdict(wanted), "measured": measured}


def ping(network: Network, source: str, target: str, about_ns: float, count: int = 20) -> float:
    """Return the least RTT of some pings, ns; infinity if none came back."""
    wait_s = max(1.0, 3 * about_ns / 1e9)
    counts = ["-c", str(count), "-i", str(PING_GAP_S), "-W", f"{wait_s:.2f}"]
    command = ["ping", "-n", "-q", "-s", str(PING_BYTES - 42), *counts, network.address(target)]
    done = network.run(source, command, 20 + 2 * wait_s, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("rtt "):
            return float(line.split("=")[1].split("/")[0]) * 1e6
    return math.inf


def flow(
    network: Network,
    source: str,
    target: str,
    rate_bps: float,
    count: int,
    burst: int,
    rows: Path | None = None,
    quiet_s: float = Effort.quiet_s,
) -> dict[str, Any]:
    """Send UDP packets from one host to another; return what sender and receiver tell.

    Args:
        network: it.
        source: the host that sends.
        target: the host that receives.
        rate_bps: of frames.
        count: of packets.
        burst: most packets that a sender may send at once when it was kept from its core.
        rows: file that gets (number, sent, received) of each packet, JSON.
        quiet_s: as in `Effort`.

    Raises:
        EmulationError: one of both failed.
    """
    module = [sys.executable, "-m", "emu.measure.udp"]
    file = [str(rows)] if rows else []
    way = network.layout.path(source, target)
    slowest_s = sum(link.delay_ns / 1e9 + 2 * 8 * FRAME_BYTES / link.least_bps for link in way)
    wait_s = str(quiet_s + slowest_s)
    receiver = network.popen(
        target, [*module, "receive", str(PORT), wait_s, *file], stdin=subprocess.PIPE
    )
    assert receiver.stdout is not None
    receiver.stdout.readline()
    last_s = count * FRAME_BYTES * 8 / rate_bps
    arguments = ["send", network.address(target), str(PORT), str(rate_bps), str(count), str(burst)]
    sent = network.run(source, [*module, *arguments], 30 + 3 * last_s)
    out, err = receiver.communicate(timeout=30 + 3 * last_s)  # which ends its stdin
    if receiver.returncode != 0 or not out:
        raise EmulationError(f"the UDP receiver on {target} failed: {err.strip()[-300:]}")
    return json.loads(sent.stdout) | json.loads(out)


def _overload(
    network: Network, source: str, target: str, wanted: Asked, effort: Effort
) -> dict[str, Any]:
    assert wanted.rate_bps is not None
    overload = max(Effort.overload, min(effort.overload, _EASY_BPS / wanted.rate_bps))
    offered = overload * wanted.rate_bps / (1.0 - (wanted.loss or 0.0))
    fill_s = 2.0 * (wanted.queue_ns or 0.0) / 1e9 / (overload - 1.0)
    count = math.ceil(min(LONGEST_S, effort.fill_s + fill_s) * offered / (8 * FRAME_BYTES))
    told = flow(network, source, target, offered, max(100, count), count, quiet_s=effort.quiet_s)
    added = told.get("delay_later_ns", 0) - told.get("delay_min_ns", 0)
    return {"rate_bps": told["rate_bps"], "queue_ns": added if fill_s < LONGEST_S else None}


def _probe(
    network: Network, source: str, target: str, wanted: Asked, effort: Effort
) -> dict[str, Any]:
    rate = 0.5 * min(wanted.rate_bps or 1e7, 4e7)
    most = min(PROBES, round(PROBE_S * rate / (8 * FRAME_BYTES)))
    telling = math.ceil(TELLING / wanted.loss) if wanted.loss else 0
    count = max(20, min(most, max(effort.probes, telling)))
    room = 4.0
    if wanted.queue_ns is not None and wanted.rate_bps is not None:
        room = wanted.queue_ns * wanted.rate_bps / (8e9 * FRAME_BYTES)
    burst = max(1, min(4, int(room)))
    told = flow(network, source, target, rate, count, burst, quiet_s=effort.quiet_s)
    kept = ("sent", "received", "reordered", "duplicates")
    return {name: told[name] for name in kept} | {"probe_delay_p99_ns": told.get("delay_p99_ns")}


def _check_rtt(path: str, wanted: Asked, found: float, tolerance: Tolerance) -> None:
    slack = max(tolerance.rtt_ns, tolerance.rtt_share * wanted.rtt_ns)
    if found == math.inf:
        raise EmulationError(f"{path}: no ping came back; an interface or a shaper is not up")
    if not wanted.delay_ns - 1e5 <= found <= wanted.rtt_ns + slack:
        shorter = "the delay did not take hold: does the kernel have netem, does the relay run?"
        longer = "the machine is too busy, or the relay has no real-time priority"
        raise EmulationError(
            f"{path}: asked for an RTT of {wanted.rtt_ns / 1e6:.3g} ms, measured "
            f"{found / 1e6:.3g} ms; {shorter if found < wanted.rtt_ns else longer}"
        )


def _check_rate(path: str, wanted: Asked, measured: dict[str, Any], tolerance: Tolerance) -> None:
    assert wanted.rate_bps is not None
    found, queue_ns = measured["rate_bps"], measured["queue_ns"]
    if abs(found - wanted.rate_bps) > tolerance.rate_share * wanted.rate_bps:
        faster = "the rate limit did not take hold, or offloads are on"
        slower = "another link is slower, or the machine is too busy to send or relay as fast"
        raise EmulationError(
            f"{path}: asked for {wanted.rate_bps / 1e6:.4g} Mbit/s, measured {found / 1e6:.4g}; "
            f"{faster if found > wanted.rate_bps else slower}"
        )
    if wanted.queue_ns is None or queue_ns is None:
        return
    service_ns = 2 * FRAME_BYTES * 8e9 / wanted.rate_bps
    slack = max(tolerance.queue_ns, tolerance.queue_share * wanted.queue_ns) + service_ns
    if abs(queue_ns - wanted.queue_ns) > slack:
        raise EmulationError(
            f"{path}: asked for a queue of {wanted.queue_ns / 1e6:.3g} ms, measured "
            f"{queue_ns / 1e6:.3g} ms; the queue limit did not take hold, or offloads are on"
        )


def _check_loss(path: str, loss: float, burst: float, measured: dict[str, Any]) -> None:
    sent, lost = measured["sent"], measured["sent"] - measured["received"]
    spread = math.sqrt(sent * loss * (1.0 - loss) * burst)
    if abs(lost - sent * loss) > SIGMAS * spread + 1.0:
        more = "packets are dropped elsewhere: is the queue shorter than a burst?"
        fewer = "the random loss did not take hold"
        raise EmulationError(
            f"{path}: asked for {100 * loss:.3g} % loss, measured {lost} of {sent}; "
            f"{more if lost > sent * loss else fewer}"
        )
    if measured["reordered"] or measured["duplicates"]:
        raise EmulationError(
            f"{path}: {measured['reordered']} packets overtook others, {measured['duplicates']} "
            "came twice; a shaper with jitter, or a loop in the topology, does that"
        )


def _check_counters(network: Network) -> None:
    for (cable, way), counted in network.counters().items():
        if counted.oversized:
            raise EmulationError(
                f"cable {cable}, {way}: {counted.oversized} packets were larger than an Ethernet "
                "frame; switch the offloads of the sending host off (ethtool -K)"
            )
        if counted.missed:
            raise EmulationError(
                f"cable {cable}, {way}: the relay missed {counted.missed} packets; the machine is "
                "too busy for this rate"
            )
