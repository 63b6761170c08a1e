"""iperf3's JSON is read strictly: what is no report of a flow ends in one line that names it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.problems import EmulationError
from emu.traffic import iperf

REPORT: dict[str, Any] = {
    "intervals": [{"sum": {"bits_per_second": 9.5e6}}, {"sum": {"bits_per_second": 0}}],
    "end": {
        "sum_sent": {"seconds": 2.0, "bytes": 2_400_000, "retransmits": 7},
        "sender_tcp_congestion": "cubic",
    },
}
NUMBERS = (("seconds", 2.0), ("bytes", 2_400_000), ("retransmits", 7))


def said(found: Any) -> str:
    return json.dumps(found)


def test_a_report() -> None:
    report = iperf.parse(said(REPORT), "flow 'a'")
    assert report == iperf.Report("cubic", 2.0, 2_400_000, 7, (9.5e6, 0.0))


def test_a_client_that_was_ended_has_told_all() -> None:
    text = said(REPORT | {"error": "interrupt - the client has terminated"})
    assert iperf.parse(text, "a").retransmits == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "printed no JSON but: nothing"),
        ("iperf3: error", "printed no JSON but: iperf3: error"),
        (said(REPORT)[:-40], "printed no JSON"),
        ("[" * 100_000, "printed no JSON"),
        ("[1]", "JSON is no object"),
        ("{}", "has no end.sum_sent"),
        (said({"error": "unable to set TCP_CONGESTION"}), "iperf3: unable to set TCP_CONGESTION"),
        (said({"error": ["a"]}), r"iperf3: \['a'\]"),
        (said(REPORT | {"intervals": {}}), "has no intervals"),
        (said(REPORT | {"intervals": [3]}), "has no sum"),
        (said(REPORT | {"end": []}), "has no end.sum_sent"),
        ("x" * (iperf.MOST_JSON + 1), "over 32 MiB"),
    ],
)
def test_what_is_no_report(text: str, told: str) -> None:
    with pytest.raises(EmulationError, match=f"^flow 'a': iperf3.*{told}|^flow 'a': {told}") as e:
        iperf.parse(text, "flow 'a'")
    assert "\n" not in str(e.value)
    assert len(str(e.value)) < 300


@pytest.mark.parametrize("name", [name for name, _ in NUMBERS])
@pytest.mark.parametrize("value", [-1, "7", None, True, float("nan"), float("inf"), [], 10**400])
def test_numbers_are_numbers(name: str, value: Any) -> None:
    changed = copy.deepcopy(REPORT)
    changed["end"]["sum_sent"][name] = value
    with pytest.raises(EmulationError, match=f"iperf3's {name} is .*, no number >= 0"):
        iperf.parse(said(changed), "a")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(REPORT)), inner),
        max_leaves=6,
    )
)
def test_any_other_json_is_refused(found: Any) -> None:
    with pytest.raises(EmulationError, match=r"^a: "):
        iperf.parse(said(found), "a")


def test_commands_end_by_themselves() -> None:
    command = iperf.client("10.0.0.2", "bbr", 3.2)
    assert command[command.index("-t") + 1] == "4"
    assert command[command.index("-C") + 1] == "bbr"
    assert iperf.client("10.0.0.2", "bbr", -1.0)[6] == "1"
