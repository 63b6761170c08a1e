"""A record as a line of JSON that people and scripts read."""

from __future__ import annotations

import json
from typing import Any

from emu.datapath.integers import Q_UNIT
from emu.datapath.records import BEGAN, ENDED, INTERVAL

_KINDS = {BEGAN: "began", INTERVAL: "interval", ENDED: "ended"}
_COUNTS = ("id", "sent", "acked", "lost", "least_rtt_us", "min_rtt_us", "srtt_us")


def line(record: Any) -> str:
    """Return a record as JSON: times in s, RTTs in us, rates in bits/s of whole packets."""
    kind = _KINDS.get(int(record["kind"]), "started")
    told: dict[str, Any] = {
        "kind": kind,
        "flow": int(record["flow"]),
        "time_s": float(record["now_us"]) / 1e6,
        "local_port": int(record["ports"]) >> 16,
        "remote_port": int(record["ports"]) & 0xFFFF,
        "rate_bps": int(record["rate_bps"]),
    }
    if kind == "interval":
        told |= {name: int(record[name]) for name in _COUNTS}
        told["length_s"] = (int(record["end_us"]) - int(record["start_us"])) / 1e6
        told["action"] = int(record["action"]) / 2**Q_UNIT if record["acted"] else None
    return json.dumps(told)
