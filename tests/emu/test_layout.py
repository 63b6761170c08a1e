"""Layouts: paths, what they should measure, and what is refused before anything is built."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.measure.asked import asked, loss_share
from emu.measure.udp import FRAME_BYTES, summary
from emu.problems import EmulationError
from emu.shapers import choice, kernel
from emu.topology import mininet
from emu.topology.layout import Cable, Layout, dumbbell, parking_lot
from emu.topology.network import loss_seeds
from experiments.setup import packages
from sim.net.links import (
    Bernoulli,
    CoDel,
    Constant,
    DropTail,
    GilbertElliott,
    Link,
    Opportunities,
    Stepped,
)
from sim.net.problems import ScenarioError

MS = 1_000_000
LINK = Link(Constant(1e7), 10 * MS, DropTail(packets=20), name="bottleneck")


@given(st.integers(1, 20))
def test_dumbbell_shares_one_bottleneck(pairs):
    layout = dumbbell(pairs, replace(LINK, loss=Bernoulli(0.1)))
    layout.check()
    for i in range(1, pairs + 1):
        assert [link.name for link in layout.path(f"s{i}", f"r{i}")] == ["bottleneck"]
        (back,) = layout.path(f"r{i}", f"s{i}")
        assert (back.name, back.loss) == ("bottleneck back", None)
    assert layout.path("s1", f"s{pairs}") == ()
    assert len(layout.shaped) == 1


@given(st.lists(st.floats(1e6, 1e8), min_size=1, max_size=6))
def test_parking_lot_passes_every_hop_or_one(rates):
    hops = [
        Link(Constant(rate), MS, DropTail(packets=9), name=f"{i}") for i, rate in enumerate(rates)
    ]
    layout = parking_lot(hops)
    layout.check()
    assert layout.path("s0", "r0") == tuple(hops)
    for i, hop in enumerate(hops, 1):
        assert layout.path(f"s{i}", f"r{i}") == (hop,)
    through = asked(layout, "s0", "r0")
    assert through.rate_bps == round(min(rates))
    assert through.rtt_ns == pytest.approx(2 * len(rates) * MS, abs=len(rates) * 2 * 98 * 8e3)


def test_access_links_lengthen_the_rtt_of_their_pair():
    slow = Link(Constant(1e9), 5 * MS, DropTail(packets=1000))
    layout = dumbbell(2, LINK, access=[None, slow])
    rtts = [asked(layout, f"s{i}", f"r{i}").rtt_ns for i in (1, 2)]
    assert rtts[1] - rtts[0] == pytest.approx(10 * MS, abs=2000)
    assert asked(layout, "s1", "r1").queue_ns == 20 * 1514 * 800
    assert asked(layout, "s2", "r2").queue_ns is None


def test_asked_of_losses_and_traces():
    layout = dumbbell(1, replace(LINK, loss=GilbertElliott(0.01, 0.2)))
    wanted = asked(layout, "s1", "r1")
    assert wanted.loss == pytest.approx(0.01 / 0.21)
    assert wanted.loss_burst == pytest.approx(1.79 / 0.21)
    assert asked(layout, "r1", "s1").loss == 0.0
    assert loss_share(GilbertElliott(0.0, 0.2, 1.0, 0.03)) == 0.03
    varying = replace(LINK, capacity=Stepped((0,), (1e6,)))
    assert asked(dumbbell(1, varying), "s1", "r1").rate_bps is None


def test_luck_of_cables_differs_and_depends_on_the_seed():
    layout = parking_lot([LINK, LINK])
    seeds = [seed for cable in layout.shaped for seed in loss_seeds(layout, cable)]
    assert len(set(seeds)) == 4
    assert loss_seeds(replace(layout, seed=1), layout.shaped[0]) != loss_seeds(
        layout, layout.shaped[0]
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hosts": ("a",)}, r"needs 2 to 200 hosts, got 1"),
        ({"hosts": ("a", "B")}, r"'B' cannot name a node; take up to 8 small letters"),
        ({"hosts": ("a", "a; reboot")}, r"'a; reboot' cannot name a node"),
        ({"hosts": ("a", "a")}, r"two nodes are named 'a'; rename one"),
        ({"seed": -1}, r"seed must be an integer >= 0, got -1"),
        ({"cables": (Cable("a", "x"), Cable("b", "w"))}, r"cable a-x: there is no node 'x'"),
        ({"cables": (Cable("a", "w"),)}, r"host 'b' must have one cable"),
        ({"cables": (Cable("a", "b"),)}, r"the cables must join all nodes, without a loop"),
        ({"cables": (Cable("a", "w", LINK), Cable("b", "w"))}, r"set both `forward` and `backw"),
        ({"switches": ("w", "v")}, r"the cables must join all nodes, without a loop"),
    ],
)
def test_bad_layouts_are_refused(fields, message):
    good = Layout(("a", "b"), ("w",), (Cable("a", "w"), Cable("b", "w")))
    good.check()
    with pytest.raises(EmulationError, match=f"^layout: .*{message}"):
        replace(good, **fields).check()
    with pytest.raises(EmulationError, match="no host 'z'; there are a, b"):
        good.path("a", "z")


def test_bad_links_are_refused_by_name():
    with pytest.raises(ScenarioError, match="link 'bottleneck': delay_ns must be"):
        dumbbell(1, replace(LINK, delay_ns=-1)).check()


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (replace(LINK, capacity=Opportunities((0,), 5)), "has no capacity traces; use the relay"),
        (replace(LINK, queue=CoDel(packets=5)), "queue is CoDel; the kernel's shaper has DropTail"),
        (replace(LINK, jitter_ns=5), "jitter_ns must be 0"),
    ],
)
def test_links_that_the_kernel_cannot_be_are_refused(tmp_path, link, message):
    with pytest.raises(EmulationError, match=message):
        choice.choose("kernel", [link], tmp_path)


@pytest.mark.parametrize("netem", [True, False])
def test_choice_is_automatic_and_told(tmp_path, monkeypatch, netem):
    monkeypatch.setattr(kernel, "has_netem", lambda: netem)
    monkeypatch.setattr("emu.shapers.relay.choose", lambda name: (["relay"], "link relay in C"))
    assert choice.choose("auto", [LINK], tmp_path).name == ("kernel" if netem else "relay")
    assert choice.choose("auto", [replace(LINK, delay_ns=0)], tmp_path).name == "kernel"
    varying = replace(LINK, capacity=Stepped((0,), (1e6,)))
    told = choice.choose("auto", [varying], tmp_path).told
    assert told.startswith("link relay in C (link 'bottleneck': the kernel's shaper has no capac")
    sampled = choice.choose("auto", [LINK], tmp_path, sample_ns=MS)
    assert sampled.told == "link relay in C (the kernel's shaper takes no samples of its queues)"


def test_netem_holds_tbf_which_holds_the_queue():
    lossy = replace(LINK, loss=GilbertElliott(0.01, 0.2, 0.9, 0.1), queue=DropTail(bytes=9000))
    root, rate, queue = (" ".join(command) for command in kernel.commands(lossy, "x"))
    assert "dev x root handle 1: netem delay 10000.000us limit 2953" in root
    assert root.endswith("loss gemodel 1.000000% 20.000000% 90.000000% 10.000000%")
    assert rate.endswith("parent 1:1 handle 10: tbf rate 10000000bit burst 3100 limit 9000")
    assert queue.endswith("parent 10:1 handle 20: bfifo limit 9000")
    pure = replace(LINK, delay_ns=0)
    assert "htb" in " ".join(kernel.commands(pure, "x")[0])
    assert kernel.commands(pure, "x")[2][-3:] == ["pfifo", "limit", "20"]


def test_missing_mininet_is_told_with_its_package(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "mininet", raising=False)
    monkeypatch.setattr(mininet, "find_program", lambda name: "/x")
    with pytest.raises(EmulationError, match="package is missing: apt-get install mininet"):
        mininet.load("net", (str(tmp_path),))
    monkeypatch.setattr(mininet, "find_program", packages.find_program)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(packages, "SBIN", "")
    lacking = (
        "mn, ifconfig, ip, ethtool, ping: apt-get install ethtool iproute2 iputils-ping mininet"
    )
    with pytest.raises(EmulationError, match=f"emulation needs {lacking}"):
        mininet.load("net")


@given(st.integers(4, 200), st.integers(0, 50))
def test_rate_is_that_of_packets_back_to_back_whatever_comes_late(count, late):
    """Up to a quarter of the packets 1 ms late do not move the rate."""
    gap = 1_211_200
    rows = [(i, 0, i * gap + (i % 4 == 1) * late * 20_000) for i in range(count)]
    found = summary(rows)
    spread = late * 20_000 / max(1, count // 2 * gap)
    assert found["rate_bps"] == pytest.approx(FRAME_BYTES * 8e9 / gap, rel=spread + 1e-9)
    assert (found["received"], found["duplicates"], found["reordered"]) == (count, 0, 0)


def test_summary_of_nothing_and_of_disorder():
    assert summary([]) == {"received": 0, "duplicates": 0, "reordered": 0, "rate_bps": 0.0}
    found = summary([(0, 0, 5), (2, 0, 6), (1, 0, 7), (1, 0, 8)])
    assert (found["received"], found["duplicates"], found["reordered"]) == (3, 1, 1)
