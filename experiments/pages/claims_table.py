"""Every claim at a glance: a page of all, and the table by experiment in README."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from experiments.claims import show_paper
from experiments.files import write_atomic
from experiments.pages.accuracy import found as value
from experiments.pages.accuracy import words
from experiments.pages.known import Known, known
from experiments.pages.tables import heading, table
from experiments.paths import ROOT

BEGIN = "<!-- claims: written by python -m experiments.pages --readme -->"
END = "<!-- claims: end -->"
VERDICTS = ("reproduced", "deviates", "unconfirmed", "not_run")
PANELS = ("serving", "congestion", "tuning")


def page(found: Mapping[str, Known]) -> str:
    """Return the page with every claim."""
    lines = [
        *heading(1, "Claims"),
        "Recorded results only; `triptych claims` checks those of this machine. What the verdicts"
        " mean is in [manifests](../manifests.md), why a claim deviates in"
        " [deviations](../deviations.md).",
        "",
    ]
    for name, one in found.items():
        if one.checks:
            title = f"{name}: {one.manifest.artefact}"
            lines += [
                *heading(2, title),
                f"{one.manifest.question} [Figure](figures/{name}.md)",
                "",
            ]
            lines += claims_of(one)
    return "\n".join(lines)


def claims_of(one: Known) -> list[str]:
    """Return the table of one experiment's claims."""
    rows = [
        (check.claim.statement, show_paper(check.claim), value(check), words(check))
        for check in one.checks
    ]
    return table(("claim", "paper", "here", "verdict"), rows)


def summary(found: Mapping[str, Known]) -> str:
    """Return README's table: per recorded experiment, how many claims have which verdict.

    A claim of a recorded experiment has not run where the recorded size leaves its runs out.
    """
    rows = list(_rows(found))
    heads = [verdict.replace("_", " ") for verdict in VERDICTS]
    waiting = sum(bool(one.checks) and one.record is None for one in found.values())
    lines = table(("experiment", "what it is", "size", *heads), rows)
    claims = sum(len(one.checks) for one in found.values())
    lines.append(
        f"{len(rows)} experiments with claims are recorded; {waiting} more run in minutes or need a"
        f" machine of their own. `triptych claims` checks all {claims} claims on yours;"
        " `docs/deviations.md` says why what deviates does."
    )
    return "\n".join(lines)


def _rows(found: Mapping[str, Known]) -> Iterator[tuple[str, ...]]:
    for panel in PANELS:
        for name, one in found.items():
            if one.manifest.panel != panel or one.record is None or not one.checks:
                continue
            counts = Counter(check.verdict for check in one.checks)
            shown = (str(counts[verdict] or "") for verdict in VERDICTS)
            yield (f"`{name}`", one.manifest.title, one.record.plan.size, *shown)


def with_table(text: str, table_text: str) -> str:
    """Return README's text with the table between its marks.

    Raises:
        ValueError: it lacks the marks.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md: {BEGIN!r} and {END!r} must stand once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table_text}\n\n{END}{rest.split(END)[1]}"


def write_readme() -> bool:
    """Bring README's table up to date; return whether it was not."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    new = with_table(text, summary(known()))
    if new != text:
        write_atomic(path, new.encode())
    return new != text
