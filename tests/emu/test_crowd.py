"""64 flows of a rule at once, real packets: each is counted, and nothing stays behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emu.datapath import machine
from emu.datapath.leftovers import still_there
from emu.world import run_private
from tests.emu.crowd import FIELDS, LINK
from tests.needs import need, need_datapath, need_emulation

pytestmark = [pytest.mark.root, pytest.mark.extensive]
FLOWS, SECONDS = 64, 4.0


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    need_emulation()
    need_datapath()
    need("iperf3")
    request = {"flows": FLOWS, "seconds": SECONDS}
    return run_private("tests.emu.crowd:crowd", request, timeout_s=120)


@pytest.fixture(scope="module")
def records(ran: dict[str, Any]) -> dict[str, Any]:
    columns = np.array(ran["records"], np.int64).T
    return dict(zip(FIELDS, columns, strict=True))


def rows(records: dict[str, Any], kind: int, flow: int) -> dict[str, Any]:
    chosen = (records["kind"] == kind) & (records["flow"] == flow)
    return {name: column[chosen] for name, column in records.items()}


def test_every_flow_begins_once_and_ends_once(ran: Any, records: Any) -> None:
    assert ran["congestion"][0] == ran["congestion"][1]
    assert ran["missed"] == 0
    flows = set(records["flow"])
    assert len(flows) >= FLOWS
    for kind in ("began", "ended"):
        told = records["flow"][records["kind"] == ran["kinds"][kind]]
        assert sorted(told) == sorted(flows)


def test_flows_do_not_mix_their_accounts(ran: Any, records: Any) -> None:
    """Of each flow: intervals follow one another, and what arrived or was lost had been sent.

    iperf3 asks for the congestion control when its first packet, a cookie, is already on its way.
    """
    deciding = 0
    for flow in set(records["flow"]):
        own = rows(records, ran["kinds"]["interval"], flow)
        np.testing.assert_array_equal(own["id"], np.arange(len(own["id"])))
        assert (own["start_us"][1:] >= own["end_us"][:-1]).all()
        assert (np.cumsum(own["acked"] + own["lost"]) <= np.cumsum(own["sent"]) + 1).all()
        deciding += len(own["id"]) > 5
    assert deciding >= FLOWS


def test_together_they_carry_what_the_link_carries(ran: Any, records: Any) -> None:
    """Packets that flows count as arrived left the link; the link carried no more than it can."""
    acked = records["acked"][records["kind"] == ran["kinds"]["interval"]].sum()
    most = LINK.least_bps * (SECONDS + 2.0) / 8 / 1514
    assert 0.5 * ran["delivered"] < acked <= ran["delivered"] <= most


def test_nothing_of_them_stays(ran: Any) -> None:
    held = {(kind, number) for kind, number in ran["held"]}
    assert {kind for kind, _ in held} == {"prog", "map", "link"}
    assert still_there(held, 10.0) == set()
    assert not [name for name in machine.available() if name == ran["congestion"][1]]
