"""What turns say together: medians over rounds, ratios within rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from emu.cost.bulk import BBR, CUBIC, CUBIC_PACED
from emu.cost.entrants import RULE, WATCHED
from emu.cost.hooks import PER_ACK, READS

Turn = Mapping[str, Any]
EMPTY, CLOCK = "empty", "clock"
LEAST_ACKS = 50
"""A turn with fewer says nothing."""


def per_ack(turns: Sequence[Turn]) -> dict[str, float]:
    """Return the time in callbacks per ACK from the turns of `emu.cost.per_ack`.

    The statistics' own time is about one reading of the clock; it is measured in the same round and
    taken off every run of every callback. Ratios are medians of ratios within a round, so that a
    machine that changes its speed from one round to the next changes neither.

    Raises:
        ValueError: a turn saw fewer than LEAST_ACKS ACKs, the rule decided nothing, or callbacks
            took no longer than reading the clock.
    """
    rounds = _rounds(turns)
    decisions = sum(row[WATCHED]["decisions"] for row in rounds)
    if decisions == 0:
        raise ValueError("the rule decided nothing; make watch_s longer")
    own = [max(0.0, _mean_ns(row[CLOCK]) - _mean_ns(row[EMPTY])) / READS for row in rounds]
    net, raw = (
        {
            name: [_ack_ns(row[name], taken) for row, taken in zip(rounds, less, strict=True)]
            for name in (RULE, WATCHED, CUBIC, BBR)
        }
        for less in (own, [0.0] * len(own))
    )
    if min(net[CUBIC]) <= 0.0 or min(net[BBR]) <= 0.0:
        raise ValueError("a callback took no longer than the clock; is the machine busy?")
    to_cubic = [a / b for a, b in zip(net[RULE], net[CUBIC], strict=True)]
    watched = [a / b for a, b in zip(net[WATCHED], net[CUBIC], strict=True)]
    to_bbr = [a / b for a, b in zip(net[RULE], net[BBR], strict=True)]
    return {
        **{f"{name}_ack_ns": median(values) for name, values in net.items()},
        **{f"{name}_ack_raw_ns": median(values) for name, values in raw.items()},
        "statistics_ns": median(own),
        "empty_ns": median(_mean_ns(row[EMPTY]) - ns for row, ns in zip(rounds, own, strict=True)),
        "ack_ratio": median(to_cubic),
        "ack_ratio_low": min(to_cubic),
        "ack_ratio_high": max(to_cubic),
        "ack_ratio_raw": median(a / b for a, b in zip(raw[RULE], raw[CUBIC], strict=True)),
        "ack_ratio_watched": median(watched),
        "ack_ratio_to_bbr": median(to_bbr),
        "acks_per_decision": sum(row[WATCHED]["acks"] for row in rounds) / decisions,
    }


def per_gigabyte(turns: Sequence[Turn], rest_cores: Sequence[float]) -> dict[str, float]:
    """Return CPU seconds per gigabyte of payload from the turns of `emu.cost.bulk`.

    Raises:
        ValueError: a turn carried nothing.
    """
    rounds = _rounds(turns)
    if any(turn["payload_bytes"] <= 0.0 for turn in turns):
        raise ValueError("a flow carried nothing over the fast path")
    names = (RULE, CUBIC, CUBIC_PACED, BBR)
    each = {
        name: [1e9 * r[name]["busy_s"] / r[name]["payload_bytes"] for r in rounds] for name in names
    }
    return {
        **{f"{name}_cpu_s_per_gb": median(values) for name, values in each.items()},
        "cpu_ratio": _ratio(each[RULE], each[CUBIC]),
        "cpu_ratio_to_paced": _ratio(each[RULE], each[CUBIC_PACED]),
        "cpu_ratio_to_bbr": _ratio(each[RULE], each[BBR]),
        "rest_cores": median(rest_cores),
    }


def _ratio(ones: Iterable[float], others: Iterable[float]) -> float:
    return median(a / b if b > 0.0 else math.nan for a, b in zip(ones, others, strict=True))


def _rounds(turns: Sequence[Turn]) -> list[dict[str, Turn]]:
    found: dict[int, dict[str, Turn]] = {}
    for turn in turns:
        found.setdefault(turn["round"], {})[turn["entrant"]] = turn
    return [found[place] for place in sorted(found)]


def _ack_ns(turn: Turn, own_ns: float) -> float:
    """Return the time per ACK, `own_ns` taken off every run of a callback."""
    if turn["acks"] < LEAST_ACKS:
        raise ValueError(
            f"{turn['entrant']}: only {turn['acks']} ACKs came back; make watch_s longer"
        )
    ns, runs = (sum(column) for column in zip(*turn["programs"].values(), strict=True))
    return (ns - own_ns * runs) / turn["acks"]


def _mean_ns(turn: Turn) -> float:
    """Return how long its callback for every ACK takes."""
    ns, runs = turn["programs"][PER_ACK[turn["entrant"]]]
    return ns / max(1, runs)
