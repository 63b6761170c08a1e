"""At most one live owner of a run, and no run lost to a dead one."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from experiments import owners as owners_module
from experiments.owners import STALE_AFTER_S, Owners, process_start

ID = "ab" * 32


@pytest.fixture
def owners(tmp_path: Path) -> Owners:
    return Owners(tmp_path)


def written(owners: Owners, **changes: Any) -> Path:
    """Own the run, then change what the file says of its owner."""
    assert owners.claim(ID)
    path = owners.folder / f"{ID}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_one_owner_until_given_back(owners: Owners) -> None:
    assert owners.owner(ID) is None
    assert owners.claim(ID)
    assert not owners.claim(ID)
    assert (owners.owner(ID) or {})["pid"] == os.getpid()
    assert owners.claim("cd" * 32)
    owners.release(ID)
    assert owners.owner(ID) is None
    assert owners.claim(ID)


def test_a_dead_owners_run_is_taken_over(owners: Owners) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    written(owners, pid=process.pid)
    assert owners.owner(ID) is None
    assert owners.claim(ID)
    assert (owners.owner(ID) or {})["pid"] == os.getpid()


def test_a_zombie_is_dead(owners: Owners) -> None:
    zombie = subprocess.Popen(["true"])
    while process_start(zombie.pid) is not None:
        time.sleep(0.01)
    assert Path(f"/proc/{zombie.pid}").exists()
    zombie.wait()


def test_a_pid_that_is_used_again_is_another_process(owners: Owners) -> None:
    written(owners, start="1")
    assert owners.owner(ID) is None
    assert owners.claim(ID)


def test_an_owner_from_before_a_reboot_is_dead_only_after_a_while(owners: Owners) -> None:
    """As is one on another host, whose processes cannot be seen: it must touch its file."""
    path = written(owners, host="elsewhere/0", pid=1)
    assert not owners.claim(ID)
    old = time.time() - STALE_AFTER_S - 1
    os.utime(path, (old, old))
    assert owners.owner(ID) is None
    owners.touch(ID)
    assert not owners.claim(ID)
    os.utime(path, (old, old))
    assert owners.claim(ID)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"host": 1}', '{"pid": "x", "start": null}']
)
def test_a_damaged_file_blocks_nobody_for_ever(owners: Owners, text: str) -> None:
    path = written(owners)
    path.write_text(text)
    old = time.time() - STALE_AFTER_S - 1
    os.utime(path, (old, old))
    assert owners.claim(ID)


def test_a_damaged_file_of_this_host_is_nobodys(owners: Owners) -> None:
    written(owners, pid="x", start=None)
    assert owners.owner(ID) is None
    assert owners.claim(ID)


def test_release_leaves_what_belongs_to_another(owners: Owners) -> None:
    """One that was taken for dead and comes back must not free the run of its successor."""
    other = subprocess.Popen(["sleep", "60"])
    try:
        written(owners, pid=other.pid, start=process_start(other.pid))
        owners.release(ID)
        assert (owners.owner(ID) or {})["pid"] == other.pid
    finally:
        other.kill()
        other.wait()
    owners.release(ID)
    assert not (owners.folder / f"{ID}.json").exists()


def test_a_run_given_back_and_taken_while_another_looks_keeps_its_new_owner(
    owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A: owns, B: looks, A: gives back, C: owns, B: goes on. B must not remove C's file."""
    assert owners.claim(ID)
    real, looks, third = owners._is_alive, [], []

    def look(run_id: str) -> bool:
        looks.append(run_id)
        if len(looks) == 1:
            owners.release(run_id)
            return False
        seen = real(run_id)
        third.append(owners._create(run_id))
        return seen

    with monkeypatch.context() as patch:
        patch.setattr(owners, "_is_alive", look)
        patch.setattr(owners, "release", lambda run_id: (owners.folder / f"{run_id}.json").unlink())
        second = owners.claim(ID)
    assert [second, *third].count(True) == 1


def _worker(root: Path, log: Path, seed: int, rounds: int) -> None:
    """Own and give back at random; die while owning, now and then. Every step is logged."""
    owners, luck = Owners(root), random.Random(seed)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(what: str, run_id: str) -> None:
        os.write(out, f"{time.monotonic_ns()} {os.getpid()} {what} {run_id}\n".encode())

    for _ in range(rounds):
        run_id = f"run{luck.randrange(3)}"
        if owners.claim(run_id):
            note("has", run_id)
            if luck.random() < 0.02:
                note("dies", run_id)
                os._exit(9)
            if luck.random() < 0.3:
                time.sleep(luck.random() * 0.002)
            note("gives", run_id)
            owners.release(run_id)


@pytest.mark.extensive
@pytest.mark.parametrize("seed", range(2))
def test_no_two_live_owners_among_processes_that_die(tmp_path: Path, seed: int) -> None:
    """The log of 8 slots of processes, restarted as they die, shows no overlap; none is stuck."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["experiments.owners"])
    log, luck = tmp_path / "log", random.Random(seed)

    def start() -> Any:
        arguments = (tmp_path, log, luck.randrange(1 << 30), 200)
        process = context.Process(target=_worker, args=arguments)
        process.start()
        return process

    running = [start() for _ in range(4)]
    for process in running:
        process.join()
        if process.exitcode == 9 and len(running) < 30:
            running.append(start())
    has: dict[str, str] = {}
    deaths = 0
    for line in sorted(log.read_text().splitlines(), key=lambda text: int(text.split()[0])):
        _, pid, what, run_id = line.split()
        if what == "has":
            assert run_id not in has, f"{pid} took {run_id} from {has[run_id]}"
            has[run_id] = pid
        else:
            assert has.pop(run_id) == pid
            deaths += what == "dies"
    assert deaths > 0
    survivor = Owners(tmp_path)
    assert all(survivor.claim(f"run{i}") for i in range(3))


def _steal(root: Path, barrier: Any, won: Any) -> None:
    barrier.wait()
    won.put(Owners(root).claim(ID))
    barrier.wait()  # stay alive until all have tried


def test_of_several_who_take_over_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    for attempt in range(4):
        root = tmp_path / str(attempt)
        written(Owners(root), pid=2**22 + 1, start="1")
        barrier, won = context.Barrier(4), context.Queue()
        thieves = [context.Process(target=_steal, args=(root, barrier, won)) for _ in range(4)]
        for thief in thieves:
            thief.start()
        for thief in thieves:
            thief.join(60)
        assert sorted(won.get(timeout=5) for _ in thieves) == [False, False, False, True]


class OwnersMachine(RuleBasedStateMachine):
    """Processes of one imagined host take, give back and die, against a dictionary."""

    actors = st.integers(1, 4)
    runs = st.sampled_from(["r1", "r2"])

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.owners = Owners(Path(self.folder.name))
        self.births = dict.fromkeys(range(1, 5), 1)
        self.model: dict[str, tuple[int, int]] = {}
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(owners_module, "process_start", lambda pid: str(self.births.get(pid)))

    def act_as(self, actor: int) -> None:
        me = {"host": owners_module.host(), "pid": actor, "start": str(self.births[actor])}
        self.patch.setattr(owners_module, "_me", lambda: me)

    def live(self, run: str) -> tuple[int, int] | None:
        owner = self.model.get(run)
        return owner if owner and self.births[owner[0]] == owner[1] else None

    @rule(actor=actors, run=runs)
    def claim(self, actor: int, run: str) -> None:
        self.act_as(actor)
        free = self.live(run) is None
        assert self.owners.claim(run) == free
        if free:
            self.model[run] = (actor, self.births[actor])

    @rule(actor=actors, run=runs)
    def release(self, actor: int, run: str) -> None:
        self.act_as(actor)
        self.owners.release(run)
        if self.live(run) in (None, (actor, self.births[actor])):
            self.model.pop(run, None)

    @rule(actor=actors)
    def die_and_let_another_have_the_pid(self, actor: int) -> None:
        self.births[actor] += 1

    @invariant()
    def the_live_owner_is_the_one_of_the_model(self) -> None:
        for run in ("r1", "r2"):
            found, expected = self.owners.owner(run), self.live(run)
            assert (found and (found["pid"], int(found["start"]))) == expected

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()


TestOwnersMachine = OwnersMachine.TestCase
TestOwnersMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_start_of_this_process_is_known_and_of_none_is_not() -> None:
    assert (process_start(os.getpid()) or "").isdigit()
    assert process_start(2**22 + 1) is None
    assert sys.platform == "linux"
