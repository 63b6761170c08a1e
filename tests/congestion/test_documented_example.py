"""The controller in docs/add-a-policy.md works as it stands, as a plug-in file."""

import re
import sys

import pytest

from experiments.paths import ROOT
from policies.congestion.base import CONTROLLERS
from policies.registry import load_plugin
from sim.net.engine import simulate
from sim.net.links import Constant, DropTail, Link
from sim.net.scenario import Flow, Scenario


@pytest.fixture
def half(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/add-a-policy.md").read_text(), re.S)
    path = tmp_path / "half.py"
    path.write_text(next(block for block in blocks if '@register("half")' in block))
    monkeypatch.setattr(CONTROLLERS, "_loaded", dict(CONTROLLERS._loaded))
    monkeypatch.setattr(CONTROLLERS, "_plugins", dict(CONTROLLERS._plugins))
    before = set(sys.modules)
    yield load_plugin(path, [CONTROLLERS])
    for name in set(sys.modules) - before:
        if name.startswith("triptych_plugin_half"):
            del sys.modules[name]


def test_it_fills_a_link_with_enough_buffer(half):
    assert half == ["half"]
    # RTT 20.1 ms at 10 Mbit/s: a BDP of 17 packets and a queue of 20, so that halving the window
    # never empties the link; the first sawtooth begins within 2 s.
    link = Link(Constant(1e7), 10_000_000, DropTail(packets=20))
    flow = Flow("half", parameters={"gain": 1.0})
    result = simulate(Scenario((link,), (flow,), 20 * 10**9, measure_from_ns=5 * 10**9))
    # Payload is 0.956 of what is sent; recovery after a loss idles the link for a few packets.
    assert result.goodput_bps()[0] > 0.9 * 1e7
    assert result.loss()[0] < 0.01
