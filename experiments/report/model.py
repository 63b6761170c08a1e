"""From entries to the plain values that the template prints. Nothing here writes HTML."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from experiments.claims import Check, show, show_paper
from experiments.figures.render import inline_svg
from experiments.report.entry import Entry
from experiments.reproduce import rerun_command

MAX_ROWS = 2_000
MAX_FAILURES = 20
MAX_FILTER_VALUES = 12
MAX_CSV_BYTES = 300_000
PANELS = {"serving": "Serving", "congestion": "Congestion control", "tuning": "Kernel tuning"}
PAPERS = {"blendserve": "BlendServe", "symbolicpcc": "SymbolicPCC", "bolt": "Bolt"}
VERDICTS = {
    "reproduced": ("✓", "reproduced"),
    "deviates": ("≠", "deviates"),
    "unconfirmed": ("?", "unconfirmed"),
    "needs_hardware": ("⚙", "needs hardware"),
    "not_run": ("·", "not run"),
}
STATES = {
    "never": "not run yet",
    "partial": "partly run",
    "done": "done",
    "stale": "stale",
    "failed": "failed",
}


def page(entries: Sequence[Entry], generated: str) -> dict[str, Any]:
    """Return everything that the template prints."""
    panels = [p for p in PANELS if any(e.manifest.panel == p for e in entries)]
    ordered = [e for p in panels for e in entries if e.manifest.panel == p]
    papers = list(dict.fromkeys(e.manifest.paper for e in ordered))
    counts = Counter(check.verdict for entry in ordered for check in entry.checks)
    return {
        "generated": generated,
        "sizes": list(dict.fromkeys(e.results.plan.size for e in ordered)),
        "runs": sum(len(e.results.run_ids) for e in ordered),
        "failures": sum(len(e.failures) for e in ordered),
        "verdicts": [{"key": v, "n": counts[v], **verdict(v)} for v in VERDICTS],
        "papers": [
            {
                "title": PAPERS.get(paper, paper),
                "experiments": [experiment(e) for e in ordered if e.manifest.paper == paper],
            }
            for paper in papers
        ],
        "claims": [claim(check, entry) for entry in ordered for check in entry.checks],
        "machines": machines(ordered),
        "waiting": [waiting(e) for e in ordered if e.state in ("never", "partial", "failed")],
    }


def verdict(key: str) -> dict[str, str]:
    """Return sign and words of a verdict, so that no reader depends on its colour."""
    sign, words = VERDICTS[key]
    return {"sign": sign, "words": words}


def experiment(entry: Entry) -> dict[str, Any]:
    """Return one experiment's section."""
    manifest, results = entry.manifest, entry.results
    return {
        "id": manifest.id,
        "short": manifest.name,
        "anchor": entry.anchor,
        "title": manifest.title,
        "question": manifest.question,
        "artefact": manifest.artefact,
        "size": results.plan.size,
        "origin": results.origin,
        "promise": manifest.promise,
        "state": entry.state,
        "state_words": STATES[entry.state],
        "done": len(results.run_ids),
        "planned": len(results.plan.runs),
        "stale": len(results.stale),
        "command": entry.command,
        "missing_needs": list(entry.missing_needs),
        "figure": figure(entry),
        "claims": [claim(check, entry) for check in entry.checks],
        "notes": notes(entry),
        "failures": [failure(record, entry) for record in entry.failures[:MAX_FAILURES]],
        "more_failures": max(0, len(entry.failures) - MAX_FAILURES),
        "data": data(entry),
        "provenance": provenance(entry),
    }


def waiting(entry: Entry) -> dict[str, Any]:
    """Return a row of the list of what is still to run."""
    done, planned = len(entry.results.run_ids), len(entry.results.plan.runs)
    return {
        "id": entry.manifest.id,
        "anchor": entry.anchor,
        "title": entry.manifest.title,
        "state": STATES[entry.state],
        "runs": f"{planned - done} of {planned}",
        "needs": ", ".join(entry.missing_needs),
        "command": entry.command,
    }


def figure(entry: Entry) -> dict[str, Any] | None:
    """Return the picture as inline SVG and its points as a link, or why there is none."""
    drawn = entry.figure
    if drawn is None or not entry.results.run_ids:
        return None
    if drawn.svg is None:
        return {"problem": drawn.problem}
    points = drawn.csv.read_bytes() if drawn.csv else b""
    link = "data:text/csv;base64," + base64.b64encode(points).decode()
    return {
        "problem": "",
        "svg": inline_svg(drawn.svg.read_text(encoding="utf-8"), entry.anchor),
        "caption": drawn.caption,
        "alt": f"{entry.manifest.artefact}: {entry.manifest.title}. {drawn.caption}",
        "points": link if 0 < len(points) <= MAX_CSV_BYTES else "",
        "file": f"{entry.anchor}-points.csv",
    }


def claim(check: Check, entry: Entry) -> dict[str, Any]:
    """Return a claim with its verdict, its sentence and its small picture."""
    paper, found = check.claim.paper, check.estimate
    unit, interval = check.claim.unit, ""
    if found is not None and found.low is not None and found.high is not None:
        interval = f"[{show(found.low, unit)}, {show(found.high, unit)}]"
    return {
        "id": f"{check.manifest.id}#{check.claim.id}",
        "experiment": check.manifest.id,
        "anchor": entry.anchor,
        "panel": PANELS[check.manifest.panel],
        "artefact": check.manifest.artefact,
        "statement": check.claim.statement,
        "note": check.claim.note,
        "sentence": check.sentence(),
        "source": paper.source,
        "paper": show_paper(check.claim),
        "here": "" if found is None else show(found.value, unit),
        "paper_number": paper.value,
        "here_number": "" if found is None else found.value,
        "interval": interval,
        "key": check.verdict,
        "stale": check.stale,
        "strip": strip(check),
        **verdict(check.verdict),
    }


def strip(check: Check) -> dict[str, float | None] | None:
    """Return the places, 0 to 100, of the paper's band and of our interval on one small scale."""
    found, paper = check.estimate, check.claim.paper.value
    if found is None:
        return None
    band = check.claim.tolerance.half_width(paper)
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    least, most = min(paper - band, low), max(paper + band, high)
    bound = check.claim.paper.bound
    lowest = least if bound == "below" else paper - band
    highest = most if bound == "above" else paper + band
    span = (most - least) or 1.0

    def place(value: float) -> float:
        return round(5 + 90 * (value - least) / span, 2)

    return {
        "band": place(lowest),
        "band_width": round(place(highest) - place(lowest), 2),
        "paper": place(paper),
        "low": place(low),
        "high": place(high),
        "here": place(found.value),
    }


def notes(entry: Entry) -> list[str]:
    """Return what the runs say a reader must know, each once, those of most runs first."""
    found = Counter(note for record in entry.provenance for note in record.get("notes", ()))
    total = len(entry.provenance)
    return [n if k == total else f"{n} ({k} of {total} runs)" for n, k in found.most_common()]


def failure(record: dict[str, Any], entry: Entry) -> dict[str, str]:
    """Return one failed run."""
    config = record.get("config", {})
    return {
        "id": str(record.get("id", ""))[:12],
        "what": f"policy {config.get('policy')}, seed {config.get('seed')}",
        "how": str(record.get("how", "")),
        "reason": str(record.get("reason", "")),
        "traceback": str(record.get("traceback", ""))[-4_000:],
        "attempts": str(record.get("attempts", 1)),
        "command": rerun_command(entry.results.plan, str(record.get("id", ""))),
    }


def data(entry: Entry) -> dict[str, Any] | None:
    """Return the table of runs, the manifest's metrics first after the axes."""
    table = entry.results.table
    if not len(table):
        return None
    axes = list(dict.fromkeys(name for spec in entry.results.plan.runs for name in spec.point))
    first = [n for n in ("policy", "seed", *axes, *entry.manifest.metrics) if n in table]
    names = list(dict.fromkeys([*first, *(n for n in table if n != "run_id"), "run_id"]))
    rows = [[plain(v) for v in row] for row in table[names].head(MAX_ROWS).itertuples(index=False)]
    keys = [n for n in ("policy", "seed", *axes) if n in table]
    few = [n for n in keys if 1 < table.loc[:, n].nunique(dropna=False) <= MAX_FILTER_VALUES]
    return {
        "columns": names,
        "filters": few,
        "rows": rows,
        "total": len(table),
        "file": f"{entry.anchor}-{entry.results.plan.size}.csv",
    }


def provenance(entry: Entry) -> dict[str, Any] | None:
    """Return where each run comes from."""
    if not entry.provenance:
        return None
    stale = set(entry.results.stale)
    rows = [
        [
            str(r.get("id", "")),
            commit(r),
            str(r.get("host", {}).get("name", "")),
            str(r.get("start", "")),
            plain(r.get("wall_s")),
            plain(round(r.get("peak_memory_bytes", 0) / 2**20, 1)),
            "stale" if r.get("id") in stale else "",
        ]
        for r in entry.provenance[:MAX_ROWS]
    ]
    return {
        "columns": ["run_id", "commit", "host", "start", "wall_s", "peak_MiB", "state"],
        "filters": ["commit", "host", "state"],
        "rows": rows,
        "total": len(entry.provenance),
        "file": f"{entry.anchor}-provenance.csv",
    }


def machines(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return each combination of code, versions and host once, with how many runs it made."""
    found: Counter[tuple[str, str, str]] = Counter()
    for record in (r for entry in entries for r in entry.provenance):
        host, versions = record.get("host", {}), record.get("versions", {})
        machine = ", ".join(
            str(part)
            for part in (
                host.get("name"),
                host.get("cpu"),
                f"{host.get('cores')} cores",
                host.get("system"),
            )
            if part
        )
        software = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
        found[(commit(record), machine, software)] += 1
    return [{"commit": c, "machine": m, "versions": v, "runs": n} for (c, m, v), n in found.items()]


def commit(record: dict[str, Any]) -> str:
    """Return the short commit, with what was changed on top of it."""
    dirty = record.get("dirty")
    known = str(record.get("commit") or "no commit")[:10]
    return f"{known} + changes {dirty[:8]}" if dirty else known


def plain(value: Any) -> Any:
    """Return a value that JSON has: numbers finite, missing ones None."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, bool | int | float) else str(value)
