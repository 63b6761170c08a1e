"""The accuracy boundary: where each simulator was validated, how well, where it is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experiments.claims import Check, show, show_paper
from experiments.kinds.base import KINDS
from experiments.pages.known import Known
from experiments.pages.tables import heading, number, table
from experiments.pages.validations import SIMULATORS, Record, Simulator
from experiments.recorded import RecordedResults

INTRODUCTION = """\
A simulator is worth what it was held against. For each this page says with what it was compared,
how well it did, and where it is known to be wrong or was not looked at. It is written from recorded
results when the pages are built (`experiments/pages/accuracy.py`); nobody copies numbers into it.
"""


def page(known: Mapping[str, Known]) -> str:
    """Return the page."""
    lines = [*heading(1, "Accuracy boundary"), INTRODUCTION]
    for simulator in SIMULATORS:
        lines += _simulator(simulator, known)
    used = {record.experiment for simulator in SIMULATORS for record in simulator.records}
    others = [name for name, one in known.items() if one.has_file and name not in used]
    lines += heading(2, "Recorded, and no validation of a simulator")
    lines += [", ".join(f"`{name}`" for name in others) or "Nothing.", ""]
    return "\n".join(lines)


def _simulator(simulator: Simulator, known: Mapping[str, Known]) -> Iterator[str]:
    yield from heading(2, simulator.name)
    model = f"[{simulator.model}](../{simulator.model}.md)"
    yield f"Code: `{simulator.code}`; what it computes: {model}."
    yield ""
    for record in simulator.records:
        yield from _record(record, known.get(record.experiment))
    yield from heading(3, "Compared in tests")
    yield from table(("with", "test"), [(what, f"`{file}`") for what, file in simulator.tests])
    yield from heading(3, "Known to be wrong, or not looked at")
    yield from (f"- {sentence}" for sentence in simulator.wrong)
    yield ""


def _record(record: Record, one: Known | None) -> Iterator[str]:
    yield from heading(3, f"Against {record.against}")
    if one is None:
        yield f"`{record.experiment}` is not there yet: this comparison has not been made.\n"
        return
    if one.record is None:
        why = "recorded, but its inputs are not on this machine" if one.has_file else "not recorded"
        how = f"`triptych reproduce {record.experiment} --size standard`"
        yield f"`{record.experiment}`: {why}; {how} makes it. What it is held against:\n"
        rows = [(check.claim.statement, show_paper(check.claim)) for check in one.checks]
        yield from table(("claim", "to be met"), rows)
        return
    yield f"`{record.experiment}`, recorded: {one.made()}.\n"
    yield from table(("claim", "to be met", "found", "verdict"), map(_row, one.checks))
    yield from _metrics(record, one.record)


def _row(check: Check) -> tuple[str, str, str, str]:
    return (check.claim.statement, show_paper(check.claim), found(check), words(check))


def found(check: Check) -> str:
    """Return the value with its interval, or a dash."""
    if (estimate := check.estimate) is None:
        return "-"
    text = show(estimate.value, check.claim.unit)
    if estimate.low is None or estimate.high is None:
        return text
    low, high = (show(end, check.claim.unit) for end in (estimate.low, estimate.high))
    return f"{text} [{low}, {high}], n={estimate.n}"


def words(check: Check) -> str:
    """Return the verdict in words."""
    return check.verdict.replace("_", " ")


def _metrics(record: Record, results: RecordedResults) -> Iterator[str]:
    """Yield the lines on metrics over all runs, the worst one included."""
    kind = KINDS.get(results.manifest.kind)
    frame = results.table
    parts = [("all", frame)]
    if record.by_policy:
        parts += [(str(name), part) for name, part in frame.groupby("policy", sort=False)]
    rows = []
    for metric in record.ranges:
        for name, part in parts:
            values = [float(value) for value in part[metric].dropna().tolist()]
            ends = (sum(values) / len(values), min(values), max(values))
            rows.append((metric, name, *map(number, ends), str(len(values))))
    if rows:
        yield from table(("metric", "policy", "mean", "least", "most", "runs"), rows)
    if record.sums:
        sums = [(number(sum(frame[metric].dropna().tolist())), metric) for metric in record.sums]
        yield "Summed over the runs: " + ", ".join(f"{n} `{metric}`" for n, metric in sums) + ".\n"
    told = [metric for metric in (*record.ranges, *record.sums) if metric in kind.metrics]
    yield from (f"- `{metric}`: {kind.metrics[metric]}" for metric in told)
    yield ""
