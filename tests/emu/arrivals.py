"""Arrivals for links, and the three ways of deciding on them: Python, C, and C's mirror by name."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from emu.relay import build
from emu.relay.arguments import Direction, Options, words
from emu.relay.lane import Lane
from experiments.paths import ROOT
from sim.net.links import DropTail, Link
from tests.net import random_scenarios

MS = 1_000_000
Arrivals = Sequence[tuple[int, int]]
Decided = list[tuple[int, int, int, int]]
"""Of each packet: verdict, when it leaves, packets and bytes that wait after it."""

SIZES = st.sampled_from([60, 66, 1514, 1514, 1514]) | st.integers(1, 65_600)


@st.composite
def links(draw):
    """Return a link of the kind that a relay can be."""
    queue = draw(random_scenarios.queues().filter(lambda q: isinstance(q, DropTail)))
    delay = draw(st.sampled_from([0, MS]) | st.integers(0, 40 * MS))
    return Link(draw(random_scenarios.capacities()), delay, queue, draw(random_scenarios.losses()))


@st.composite
def arrivals(draw, most=60):
    """Return (time in ns, bytes) of packets; times never fall, and often coincide."""
    gaps = st.sampled_from([0, 0, MS]) | st.integers(0, 5 * MS)
    now, made = draw(random_scenarios.instants(300 * MS)), []
    for _ in range(draw(st.integers(0, most))):
        now += draw(gaps)
        made.append((now, draw(SIZES)))
    return made


def by_python(link: Link, seed: int, packets: Arrivals) -> Decided:
    """Return what the Python twin decides."""
    lane = Lane(link, seed)
    return [(*lane.arrive(now, size), *lane.look(now)) for now, size in packets]


def by_c(link: Link, seed: int, packets: Arrivals) -> Decided:
    """Return what the compiled relay decides."""
    return _replayed([str(build.program())], link, seed, packets)


def by_twin(link: Link, seed: int, packets: Arrivals) -> Decided:
    """Return what the twin decides as a program of its own."""
    return _replayed([sys.executable, "-m", "emu.relay.twin"], link, seed, packets)


def _replayed(program: list[str], link: Link, seed: int, packets: Arrivals) -> Decided:
    text = "".join(f"{now} {size}\n" for now, size in packets)
    with tempfile.TemporaryDirectory() as folder:
        said = words("replay", Options(), [Direction(link, seed)], Path(folder))
        done = subprocess.run(
            [*program, *said], input=text, capture_output=True, text=True, cwd=ROOT, check=False
        )
    assert done.returncode == 0, done.stderr
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rows) == len(packets)
    return [(row[0], row[1], row[2], row[3]) for row in rows]
