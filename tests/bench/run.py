"""Run the benchmarks that match and write `build/bench.json`; others' values there are kept."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.files import read_json, write_json
from experiments.paths import ROOT, build_root

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run, merge, print; the exit code is that of the benchmarks' own run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--select", default="*", help="glob over names, such as 'runner/*'")
    select = parser.parse_args().select
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        command = [sys.executable, "-m", "pytest", *sorted(map(str, HERE.glob("bench_*.py")))]
        options = ["-q", "--select", select, "--benchmark-enable", f"--benchmark-json={raw}"]
        code = subprocess.run([*command, *options, "-p", "no:xdist"], cwd=ROOT).returncode
        found = json.loads(raw.read_text())["benchmarks"] if raw.is_file() else []
    rows = merge(found)
    if not rows:
        print(f"no benchmark matches {select!r}", file=sys.stderr)
        return code or 2
    path = build_root() / "bench.json"
    known = {row["name"]: row for row in read_json(path) or []}
    known.update({row["name"]: row for row in rows})
    write_json(path, [known[name] for name in sorted(known)])
    for row in rows:
        peer = f", {row['ratio']:.3g}x {row['peer']}" if row["peer"] else ""
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}{peer} (n={row['n']})")
    return code


def merge(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per benchmark, ours beside its peer (fields as the contract names them)."""
    ours = {b["extra_info"]["name"]: b for b in found if b["extra_info"]["side"] == "ours"}
    peers = {b["extra_info"]["name"]: b for b in found if b["extra_info"]["side"] != "ours"}
    return [_row(name, mine, peers.get(name)) for name, mine in ours.items()]


def _row(name: str, mine: dict[str, Any], peer: dict[str, Any] | None) -> dict[str, Any]:
    info, value = mine["extra_info"], _value(mine)
    peer_value = None if peer is None else _value(peer)
    ratio = None
    if peer_value is not None:
        ratio = value / peer_value if info["better"] == "higher" else peer_value / value
    stats = mine["stats"]
    return {
        "name": name,
        "value": value,
        "unit": info["unit"],
        "better": info["better"],
        "peer": None if peer is None else peer["extra_info"]["side"],
        "peer_value": peer_value,
        "ratio": ratio,
        "n": stats["rounds"],
        "spread": (stats["max"] - stats["min"]) / stats["median"],
        "host": platform.node(),
    }


def _value(benchmark: dict[str, Any]) -> float:
    seconds, amount = benchmark["stats"]["median"], benchmark["extra_info"]["amount"]
    return seconds if amount is None else amount / seconds


if __name__ == "__main__":
    sys.exit(main())
