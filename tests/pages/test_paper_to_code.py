"""Markers in code and tests name sections of the papers; each section is somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.catalog import entries
from experiments.pages.paper_to_code import marks, marks_in, page
from experiments.pages.sections import SECTIONS


def test_every_marker_names_a_section_and_stands_above_a_definition() -> None:
    assert len(marks()) > 100  # reading them raises where a name is unknown
    assert [mark for mark in marks() if not mark.of] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_has_code_and_a_test_or_a_reason(name: str) -> None:
    section = SECTIONS[name]
    mine = [mark for mark in marks() if mark.section == name]
    code, tests = ([m for m in mine if m.is_test == wanted] for wanted in (False, True))
    assert bool(code) != bool(section.reason), "code or a reason, not both"
    assert bool(tests) or section.reason or section.untested, "a test, or why there is none"


def test_figures_of_sections_are_experiments() -> None:
    known = {entry.id for entry in entries()}
    for section in SECTIONS.values():
        assert set(section.experiments) <= known, section.name


def test_a_marker_is_found_with_its_line_and_what_it_stands_above(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("x = 1\n\n\n# paper: blendserve 4; bolt 3.3\n@cache\ndef f():\n    ...\n")
    assert [(m.section, m.line, m.of) for m in marks_in(path)] == [
        ("blendserve 4", 4, "f"),
        ("bolt 3.3", 4, "f"),
    ]
    header = tmp_path / "code.hpp"
    header.write_text("// paper: bolt padding\nstruct Tile {\n};\n")
    assert [m.of for m in marks_in(header)] == ["Tile"]


def test_a_marker_of_no_section_is_told_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("# paper: blendserve 99.9\nx = 1\n")
    with pytest.raises(ValueError, match=r"code\.py:1: paper: 'blendserve 99\.9'"):
        list(marks_in(path))


def test_the_page_shows_every_section_and_marker() -> None:
    text = page({})
    for section in SECTIONS.values():
        assert f"**{section.number}** {section.says}" in text
    for mark in marks():
        assert f"`{mark.file}:{mark.line}` `{mark.of}`" in text
