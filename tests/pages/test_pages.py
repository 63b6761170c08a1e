"""Generated pages: whole, true to what is recorded, linked soundly, equal at each writing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.kinds.base import KINDS
from experiments.pages import accuracy, claims_table, cost, figures
from experiments.pages.known import Known, known
from experiments.pages.tables import cell, number, table
from experiments.pages.validations import SIMULATORS
from experiments.pages.write import GENERATED, PAGES, write_pages
from experiments.paths import RECORDED, ROOT
from experiments.problems import InputError
from tests.docs.blocks import SHELL, blocks_of, commands_of
from tests.docs.test_examples import parse_triptych

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def found() -> dict[str, Known]:
    return known()


@pytest.fixture(scope="module")
def texts(found: dict[str, Known]) -> dict[str, str]:
    pages = {f"{name}.md": make(found) for name, make in PAGES.items()}
    return pages | {f"figures/{name}.md": figures.page(one, None) for name, one in found.items()}


def test_each_experiment_has_a_page_with_question_command_and_claims(
    found: dict[str, Known], texts: dict[str, str]
) -> None:
    for name, one in found.items():
        text = texts[f"figures/{name}.md"]
        assert one.manifest.question in text
        assert f"figures/{name}" in texts["figures.md"]
        for claim in one.manifest.claims:
            assert cell(claim.statement) in text
        (block,) = [block for block in blocks_of(name, text) if block.language in SHELL]
        for command in commands_of(block.text):
            parse_triptych(command.split()[1:])


def test_links_lead_to_pages_or_files(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        for target in LINK.findall(text):
            path = ((GENERATED / name).parent / target).resolve()
            made = path.is_relative_to(GENERATED) and str(path.relative_to(GENERATED)) in texts
            assert made or path.is_file(), f"{name}: {target}"


def test_cost_is_measured_or_grows_with_the_manifest(found: dict[str, Known]) -> None:
    for one in found.values():
        plain = cost.cost_of(replace(one, record=None), 1)
        assert plain.hours * 3600 == pytest.approx(
            one.manifest.sizes.paper.seconds * (1 if plain.alone else cost.HERE)
        )
        assert plain.on(cost.MANY) == plain.hours / (1 if plain.alone else cost.MANY)
        if one.record is not None:
            seconds = one.manifest.size(one.record.plan.size).seconds
            measured = sum(run["wall_s"] for run in one.record.provenance())
            wanted = measured / seconds * one.manifest.sizes.paper.seconds
            assert cost.cost_of(one, 1).hours * 3600 == pytest.approx(wanted)


def test_cost_has_a_row_for_each_experiment(found: dict[str, Known], texts: dict[str, str]) -> None:
    rows = [line for line in texts["cost.md"].splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(found)


def test_accuracy_names_every_record_as_validation_or_not(
    found: dict[str, Known], texts: dict[str, str]
) -> None:
    recorded = {f"{path.parent.name}/{path.stem}" for path in RECORDED.glob("*/*.json")}
    assert recorded <= set(found)
    for name in recorded:
        assert f"`{name}`" in texts["accuracy.md"], name


def test_what_is_held_against_a_simulator_exists(found: dict[str, Known]) -> None:
    for simulator in SIMULATORS:
        assert (ROOT / simulator.code).exists(), simulator.code
        assert (ROOT / "docs" / f"{simulator.model}.md").is_file(), simulator.model
        assert simulator.wrong, f"{simulator.name}: no simulator is right everywhere"
        for _, file in simulator.tests:
            assert (ROOT / file).is_file(), file
        for record in simulator.records:
            if record.experiment in found:
                kind = KINDS.get(found[record.experiment].manifest.kind)
                assert {*record.ranges, *record.sums} <= set(kind.metrics), record.experiment


def test_accuracy_shows_the_recorded_numbers(
    found: dict[str, Known], texts: dict[str, str]
) -> None:
    """Counted anew from the table, not from the page's own code."""
    one = found["blendserve/vllm-parity"]
    if one.record is None:
        assert "`blendserve/vllm-parity`: " in texts["accuracy.md"]
        return
    steps = int(one.record.table["steps"].sum())
    assert f"{steps:,} `steps`" in texts["accuracy.md"]
    for check in one.checks:
        assert f"| {check.verdict.replace('_', ' ')} |" in texts["accuracy.md"]


def test_a_comparison_that_was_not_made_is_said_to_be_missing() -> None:
    text = accuracy.page({})
    for simulator in SIMULATORS:
        for record in simulator.records:
            assert f"`{record.experiment}` is not there yet" in text


def test_readme_has_the_current_table(found: dict[str, Known]) -> None:
    """Where this fails, `python -m experiments.pages --readme` mends it."""
    text = (ROOT / "README.md").read_text()
    assert claims_table.with_table(text, claims_table.summary(found)) == text


def test_the_table_counts_each_claim_once(found: dict[str, Known]) -> None:
    rows = [line for line in claims_table.summary(found).splitlines() if line.startswith("| `")]
    counted = sum(int(count.strip() or 0) for line in rows for count in line.split("|")[4:-1])
    assert counted == sum(len(one.checks) for one in found.values() if one.record is not None)


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="must stand once each"):
        claims_table.with_table("no marks\n", "table")


@pytest.mark.extensive
def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {name: one for name, one in known().items() if name.endswith(("fig09", "decider"))}
    monkeypatch.setattr("experiments.pages.write.known", lambda: some)
    assert write_pages(tmp_path) == []
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    drawn = [name for name, one in some.items() if one.record is not None]
    for name in drawn:
        page = (tmp_path / "figures" / f"{name}.md").read_text()
        (picture,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
        assert (tmp_path / "figures" / f"{name}.md").parent.joinpath(picture).is_file()
    (tmp_path / "figures" / "gone.md").write_text("stale")
    assert write_pages(tmp_path) == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first


def test_tables_hold_any_text() -> None:
    assert table(("a", "b"), [("x | y", "two\nlines")]) == [
        "| a | b |",
        "| --- | --- |",
        "| x \\| y | two lines |",
        "",
    ]
    assert [number(value) for value in (3.0, 47342.0, 0.123456, -1.5)] == [
        "3",
        "47,342",
        "0.1235",
        "-1.5",
    ]


def test_a_damaged_record_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "blendserve"
    folder.mkdir()
    (folder / "fig09.parquet").write_bytes(b"")
    (folder / "fig09.json").write_text("{}")
    monkeypatch.setattr("experiments.paths.RECORDED", tmp_path)
    monkeypatch.setattr("experiments.pages.known.RECORDED", tmp_path)
    known.cache_clear()
    try:
        with pytest.raises(InputError, match="damaged"):
            known()
    finally:
        known.cache_clear()
