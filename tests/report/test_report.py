"""The report's text: what it says, and that it needs nothing but itself."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from experiments.figures.render import Rendered
from experiments.report import Entry, model, write_report
from tests.figures.synthetic import manifest, results_of
from tests.report.samples import HOSTILE, entry, sample

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """Collects what a page refers to, its ids, and whether its tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.append(found["id"])
        for name in ("href", "src", "xlink:href", "action", "srcset", "poster", "data"):
            if name in found:
                self.links.append((tag, found[name]))
        assert not any(name.startswith("on") for name in found), f"{tag} has a handler"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    return sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def text(entries: list[Entry], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    assert write_report(entries, path, "2 January 2026") == path
    return path.read_text(encoding="utf-8")


def test_it_is_well_formed_and_every_link_within_it_leads_somewhere(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    inner = {link[1:] for _, link in page.links if link.startswith("#")}
    assert inner <= set(page.ids)


def test_it_refers_to_nothing_outside_itself(text: str) -> None:
    outer = [link for _, link in Page(text).links if not link.startswith("#")]
    assert all(link.startswith("data:") for link in outer)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_bytes_repeat_and_change_with_the_date_alone(entries: list[Entry], tmp_path: Path) -> None:
    one, two, other = (
        write_report(entries, tmp_path / f"{i}.html", date).read_text()
        for i, date in enumerate(["today", "today", "tomorrow"])
    )
    assert one == two
    assert one.replace("today", "tomorrow") == other


def test_every_claim_shows_its_verdict_in_words_and_its_sentence(
    text: str, entries: list[Entry]
) -> None:
    from markupsafe import escape

    for check in (c for e in entries for c in e.checks):
        assert str(escape(check.sentence())) in text
        assert f"</span> {model.verdict(check.verdict)['words']}</span>" in text


def test_states_failures_notes_and_commands_are_told(text: str) -> None:
    assert "triptych reproduce bolt/fig01 --size quick" in text
    assert "This machine lacks:</b> gpu" in text
    assert "<b>Stale:</b> 60 of these runs" in text
    assert "took &lt;too&gt; long" in text
    assert re.search(r"triptych reproduce blendserve/broken --size quick --only [0-9a-f]{12}", text)
    assert text.count("trace absent: a generated stand-in was used") == 4
    assert "Written on 2 January 2026" in text
    assert "0123456789" in text
    assert "numpy 2.4.6" in text


def test_what_has_not_run_has_no_figure_and_is_listed(text: str) -> None:
    waiting = text[text.index('id="waiting"') :]
    assert "45 of 45" in waiting
    assert "blendserve/broken" in waiting
    assert "orders-mooncake" not in waiting[: waiting.index("</section>")]
    article = text[text.index('<article id="bolt-fig01"') :]
    assert "<figure>" not in article[: article.index("</article>")]


def test_hostile_text_is_escaped_everywhere(text: str) -> None:
    assert HOSTILE not in text
    assert "<img" not in text
    assert Page(text).tags.count("script") == 1 + text.count('<script type="application/json">')
    assert "&lt;script&gt;" in text


def test_long_tables_are_cut_and_say_so(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "MAX_ROWS", 10)
    text = write_report(entries[:1], tmp_path / "r.html").read_text()
    assert "The first 10 of 45 rows are in this page" in text


def test_many_failures_are_counted_rather_than_listed(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "MAX_FAILURES", 2)
    text = write_report([entries[2]], tmp_path / "r.html").read_text()
    assert text.count("Alone, in the foreground") == 2
    assert "7 more failed" in text


def test_an_undrawn_figure_says_why(entries: list[Entry], tmp_path: Path) -> None:
    failed = replace(entries[0], figure=Rendered(None, None, None, problem="x.py: KeyError: <y>"))
    text = write_report([failed], tmp_path / "r.html").read_text()
    assert "<b>No figure:</b> x.py: KeyError: &lt;y&gt;" in text
    without = write_report([replace(entries[0], figure=None)], tmp_path / "s.html").read_text()
    assert "<figure>" not in without


def test_a_report_on_nothing_is_still_a_page(tmp_path: Path) -> None:
    text = write_report([], tmp_path / "r.html").read_text()
    assert Page(text).open == []
    assert "Nothing has run yet." in text


def test_a_run_without_seeds_or_policies_is_shown(tmp_path: Path) -> None:
    made = manifest("mine/plain", policies=[], seeds=1, axes=[], claims=[])
    found = entry(results_of(made, tmp_path), tmp_path)
    assert found.state == "done"
    assert "Data: 1 runs" in write_report([found], tmp_path / "r.html").read_text()


def test_the_strip_places_band_and_interval(entries: list[Entry]) -> None:
    for check in entries[0].checks:
        found = model.strip(check)
        assert found is not None
        assert all(0 <= value <= 100 for value in found.values() if value is not None)
        assert (found["low"] or 0) <= (found["here"] or 0) <= (found["high"] or 0)
