"""A test can skip in one way only, and continuous integration knows what it may skip for."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.doctor.survey import CAPABILITY_NAMES, Capability
from tests import check_skips, needs

_REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="fine"/>
<testcase classname="tests.a" name="no_gpu">
  <skipped type="pytest.skip" message="needs gpu: not on this machine"/></testcase>
<testcase classname="tests.a" name="xfail"><skipped type="pytest.xfail" message="known"/></testcase>
{more}
</testsuite></testsuites>"""
_BAD = """<testcase classname="tests.b" name="t">
  <skipped type="pytest.skip" message="{}"/></testcase>"""


def _report(folder: Path, more: str = "") -> Path:
    path = folder / "report.xml"
    path.write_text(_REPORT.format(more=more), encoding="utf-8")
    return path


def test_allowed_skips_and_expected_failures_pass(tmp_path):
    assert check_skips.main([str(_report(tmp_path))]) == 0


@pytest.mark.parametrize("message", ["needs browser: x", "gpu", "not today", "needs data: x", ""])
def test_other_skips_fail_and_are_named(tmp_path, capsys, message):
    assert check_skips.main([str(_report(tmp_path, _BAD.format(message)))]) == 1
    assert "skip not allowed: tests.b::t" in capsys.readouterr().err


def test_missing_report_is_bad_input(tmp_path):
    assert check_skips.main([str(tmp_path / "none.xml")]) == 2


def test_allowed_names_are_capabilities():
    names = check_skips.allowed_names(check_skips.ALLOWED.read_text(encoding="utf-8"))
    assert names <= {*CAPABILITY_NAMES, "data"}


def test_need_skips_with_the_remedy(monkeypatch):
    needs._probed.cache_clear()
    absent = Capability("gpu", False, "", (), "buy one")
    monkeypatch.setattr(needs, "probe", lambda name: absent)
    with pytest.raises(pytest.skip.Exception, match=r"needs gpu: .* to have it: buy one"):
        needs.need("gpu")
    needs._probed.cache_clear()
    with pytest.raises(KeyError):
        monkeypatch.undo() or needs.need("nosuch")


@pytest.mark.parametrize("root", [True, False])
def test_emulation_is_skipped_without_root_and_fails_for_any_other_lack(monkeypatch, root):
    def probed(name):
        return Capability(name, root and name != "mininet", "", (), f"get {name}")

    monkeypatch.setattr(needs, "_probed", probed)
    if root:
        with pytest.raises(pytest.fail.Exception, match=r"^mininet is missing .*: get mininet$"):
            needs.need_emulation()
    else:
        with pytest.raises(pytest.skip.Exception, match=r"needs root: .*: get root$"):
            needs.need_emulation()


def test_need_data(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    (tmp_path / "there").touch()
    assert needs.need_data("there") == tmp_path / "there"
    with pytest.raises(pytest.skip.Exception, match=r"needs data: traces/x is not in .*TRIPTYCH"):
        needs.need_data("traces/x")
