"""A short soak, and that what it looks for would be found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from emu.cost.hooks import Hooks
from emu.datapath import machine
from emu.datapath.leftovers import held_by, still_there
from emu.soak import loaders, outside
from emu.soak.lap import FLOWS
from emu.soak.running import MARKER, soak
from experiments.paths import ROOT
from tests.needs import need, need_datapath, need_emulation

SECONDS = 18.0


def test_changes_outside_are_told_by_name() -> None:
    before = {"net/a": "1", "net/gone": "2", "interfaces": "lo"}
    assert outside.changed(before, before) == []
    after = {"net/a": "3", "interfaces": "lo", "net/new": "x"}
    told = outside.changed(before, after)
    assert [line.partition(":")[0] for line in told] == ["net/a", "net/gone", "net/new"]
    assert "was '1', is '3'" in told[0]


def test_settings_of_the_network_are_watched() -> None:
    found = outside.state()
    assert "net/ipv4/ip_forward" in found
    assert "lo" in found["interfaces"]
    assert not any("available_congestion" in name for name in found)


def test_processes_are_known_by_what_they_inherit() -> None:
    marker = f"soak-{os.getpid()}"
    command = ["bash", "-c", "sleep 60 & wait"]
    environment = {**os.environ, MARKER: marker}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            while len(outside.pids_of(marker)) < 2:
                assert process.poll() is None
            assert any("sleep 60" in words for words in outside.marked(marker))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert outside.marked(marker, 5.0) == []


@pytest.mark.root
@pytest.mark.extensive
class TestLive:
    @pytest.fixture(autouse=True)
    def _here(self) -> None:
        need_emulation()
        need_datapath()
        need("iperf3")

    def test_what_is_held_is_seen_and_what_was_held_is_gone(self) -> None:
        """The search would find a leak: what is not taken back is still there."""
        before = held_by(os.getpid())
        hooks = Hooks("empty")
        held = held_by(os.getpid()) - before
        assert {kind for kind, _ in held} == {"prog", "map", "link"}
        assert still_there(held) == held
        assert hooks.name in machine.available()
        hooks.close()
        assert still_there(held, 5.0) == set()
        assert loaders.vanished(hooks.name)

    def test_a_killed_loader_takes_all_with_it(self) -> None:
        rule = ROOT / "policies" / "congestion" / "rules" / "gentle.rule"
        name = f"t{os.getpid()}_leak"
        command = [sys.executable, "-m", "emu.datapath.holder", str(rule), name]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            held = loaders.stopped_with(process.pid)
            assert {kind for kind, _ in held} == {"prog", "map", "link"}
            assert still_there(held) == held
            process.kill()
        assert still_there(held, 5.0) == set()
        assert loaders.vanished(name)

    @pytest.mark.parametrize("after_s", [0.3, 0.6, 0.9, 1.2, 1.5, 3.0])
    def test_a_loader_ends_whenever_it_is_told_to(self, after_s: float) -> None:
        """SIGTERM may come while libbpf calls back, where an exception would be lost."""
        rule = ROOT / "policies" / "congestion" / "rules" / "gentle.rule"
        name = f"t{os.getpid()}_term"
        command = [sys.executable, "-m", "emu.datapath.holder", str(rule), name]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            time.sleep(after_s)
            process.terminate()
            try:
                process.wait(60.0)
            finally:
                process.kill()
        assert loaders.vanished(name)

    def test_flows_of_a_killed_world_end_soon(self) -> None:
        """Their connections hold the datapath's programs until the kernel gives up on them."""
        marker = f"soak-{os.getpid()}-killed"
        command = [sys.executable, "-m", "emu.soak.lap", "60", "1"]
        environment = {**os.environ, MARKER: marker}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            end = time.monotonic() + 60.0
            while not any("iperf3 -c" in words for words in outside.marked(marker)):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
            time.sleep(2.0)
            held = {one for pid in outside.pids_of(marker) for one in held_by(pid)}
            assert {kind for kind, _ in held} == {"prog", "map", "link"}
            process.kill()
        assert outside.marked(marker, 20.0) == []
        assert still_there(held, 20.0) == set()

    def test_a_soak_leaves_nothing(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setenv("TRIPTYCH_RUN", str(tmp_path))
        told_laps: list[dict[str, Any]] = []
        told = soak(SECONDS, 3, told_laps.append, lap_s=3.0, kill_every=2)
        assert told.leaks == []
        assert told.refused == []
        assert told.laps >= 1
        assert told.loaders >= 3
        assert told.seen >= 10
        assert len(told_laps) == told.laps + told.killed
        assert set(told.arrived) == set(FLOWS)
        assert all(count > 0 for count in told.arrived.values())
        assert os.environ["TRIPTYCH_RUN"] == str(tmp_path)
