"""The relay in Python, for machines without a C compiler: `python -m emu.relay.twin run ...`.

It takes the words, the lines on stdin and gives the lines on stdout of `relay.c`, and decides on
every packet alike. It uses more CPU: some 12 us a packet, against 5.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import IO

from emu.problems import EmulationError
from emu.relay import account
from emu.relay.arguments import Direction, Options, parse
from emu.relay.lane import DELIVER, LOST, Lane
from sim.net.problems import ScenarioError

# Linux's numbers, which Python's `socket` does not name.
SO_RCVBUFFORCE, SO_TIMESTAMPNS, SOL_PACKET = 33, 35, 263
PACKET_STATISTICS, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 6, 20, 23, 3
PR_SET_PDEATHSIG, PR_SET_TIMERSLACK = 1, 29

MOST_BYTES, USUAL_FRAME = 65_600, 1518
OLDEST_NS = 10_000_000_000
COUNTS = (
    *("in_packets", "in_bytes", "lost", "dropped", "delivered", "delivered_bytes", "failed"),
    *("missed", "oversized", "late_sum_ns", "late_max_ns"),
)


def _open(interface: str) -> socket.socket:
    """Return a packet socket on an interface, which stamps what it receives."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    for option in (PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS):
        opened.setsockopt(SOL_PACKET, option, 1)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.setblocking(False)
    opened.bind((interface, ETH_P_ALL))
    return opened


class Port:
    """One direction at work: its sockets, its lane, and packets that wait for their time."""

    def __init__(
        self,
        index: int,
        direction: Direction,
        enters: socket.socket,
        leaves: socket.socket,
        packets: IO[bytes] | None,
    ) -> None:
        self.enters, self._leaves = enters, leaves
        self._index, self._packets = index, packets
        self.lane = Lane(direction.link, direction.seed)
        self.restart()

    def restart(self) -> None:
        """Forget packets and counts."""
        self.lane.restart()
        self.held: deque[tuple[int, bytes]] = deque()
        self.counts = dict.fromkeys(COUNTS, 0)

    def receive(self, epoch_ns: int) -> None:
        """Take what has come in, up to 32 packets."""
        for _ in range(32):
            try:
                data, control, _, _ = self.enters.recvmsg(MOST_BYTES, 64)
            except BlockingIOError:
                return
            now = time.monotonic_ns()
            age = time.time_ns() - _stamp(control)
            arrival = now - age if 0 <= age <= OLDEST_NS else now
            self._take(data, max(0, arrival - epoch_ns), epoch_ns)

    def _take(self, data: bytes, arrival_ns: int, epoch_ns: int) -> None:
        counts, size = self.counts, len(data)
        counts["in_packets"] += 1
        counts["in_bytes"] += size
        counts["oversized"] += size > USUAL_FRAME
        verdict, deliver_ns = self.lane.arrive(arrival_ns, size)
        if self._packets is not None:
            wait_ns = self.lane.last_wait_ns if verdict == DELIVER else 0
            times = (self.lane.last_arrival_ns, wait_ns, deliver_ns)
            self._packets.write(account.packed(self._index, verdict, *times, data))
        if verdict == DELIVER:
            self.held.append((epoch_ns + deliver_ns, data))
        else:
            counts["lost" if verdict == LOST else "dropped"] += 1

    def deliver(self) -> None:
        """Send what is due."""
        counts = self.counts
        while self.held and (late := time.monotonic_ns() - self.held[0][0]) >= 0:
            data = self.held.popleft()[1]
            try:
                self._leaves.send(data)
                counts["delivered"] += 1
                counts["delivered_bytes"] += len(data)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.ENETDOWN):
                    raise
                counts["failed"] += 1
            counts["late_sum_ns"] += late
            counts["late_max_ns"] = max(late, counts["late_max_ns"])

    def told(self, now_ns: int) -> dict[str, int]:
        """Return the counters."""
        seen = self.enters.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.counts["missed"] += struct.unpack("II", seen)[1]  # reading sets the kernel's to 0
        packets, in_bytes = self.lane.look(now_ns)
        waiting = {"waiting_packets": packets, "waiting_bytes": in_bytes}
        return {**self.counts, "held": len(self.held), **waiting}


def _stamp(control: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data)
            return seconds * 1_000_000_000 + nanoseconds
    return time.time_ns()


class Relay:
    """All directions, and what steers them."""

    def __init__(
        self,
        options: Options,
        directions: Sequence[Direction],
        samples: IO[str] | None,
        packets: IO[bytes] | None,
    ) -> None:
        self._options, self._samples, self._packets = options, samples, packets
        names = {name for d in directions for name in (d.enters, d.leaves)}
        sockets = {name: _open(name) for name in sorted(names)}
        self._ports = [
            Port(i, d, sockets[d.enters], sockets[d.leaves], packets)
            for i, d in enumerate(directions)
        ]
        self._by_fd = {port.enters.fileno(): port for port in self._ports}
        self._ended, self._typed = False, b""
        self._restart()

    def _restart(self) -> None:
        for port in self._ports:
            port.restart()
        self._epoch_ns = time.monotonic_ns()
        self._next_sample_ns = 0
        if self._packets is not None:
            self._packets.seek(0)
            self._packets.truncate()

    def run(self) -> None:
        """Relay until stdin ends or says stop."""
        while not self._ended:
            for port in self._ports:
                port.deliver()
            self._sample()
            for fd in select.select((*self._by_fd, 0), (), (), self._wait_s())[0]:
                if fd == 0:
                    self._listen()
                else:
                    self._by_fd[fd].receive(self._epoch_ns)
        self._tell("end")

    def _wait_s(self) -> float:
        """Return how long nothing is due, s; select(2) counts in us, poll(2) only in ms."""
        now = time.monotonic_ns()
        due = min((port.held[0][0] for port in self._ports if port.held), default=now + 10**9)
        due -= self._options.spin_ns
        if self._samples is not None:
            due = min(due, self._epoch_ns + self._next_sample_ns)
        return max(0, due - now) / 1e9

    def _listen(self) -> None:
        got = os.read(0, 4096)
        if not got:
            self._ended = True
        *lines, self._typed = (self._typed + got).split(b"\n")
        for line in lines:
            self._ended |= line == b"stop"
            if line == b"restart":
                self._restart()
            if not self._ended:
                self._tell("counters")

    def _tell(self, kind: str) -> None:
        if self._samples is not None:
            self._samples.flush()
        if self._packets is not None:
            self._packets.flush()
        now = time.monotonic_ns() - self._epoch_ns
        links = [port.told(now) for port in self._ports]
        print(json.dumps({"kind": kind, "time_ns": now, "links": links}), flush=True)

    def _sample(self) -> None:
        now = time.monotonic_ns() - self._epoch_ns
        if self._samples is None or now < self._next_sample_ns:
            return
        line = {"time_ns": now, "waiting": [port.lane.look(now) for port in self._ports]}
        self._samples.write(json.dumps(line) + "\n")
        self._next_sample_ns = max(self._next_sample_ns, now) + self._options.sample_ns


def _replay(direction: Direction) -> None:
    lane = Lane(direction.link, direction.seed)
    for line in sys.stdin:
        arrival, size = (int(word) for word in line.split())
        verdict, deliver_ns = lane.arrive(arrival, size)
        print(verdict, deliver_ns, *lane.look(arrival))


def _live(options: Options, directions: Sequence[Direction]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_TIMERSLACK, 1)
    with contextlib.ExitStack() as files:
        path, other = options.samples, options.packets
        samples = files.enter_context(open(path, "w", encoding="ascii")) if path else None
        packets = files.enter_context(open(other, "wb")) if other else None
        relay = Relay(options, directions, samples, packets)
        realtime = options.realtime and _has_priority()
        print(json.dumps({"kind": "ready", "realtime": realtime}), flush=True)
        relay.run()


def _has_priority() -> bool:
    """Ask for real-time priority; return whether it was given."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except PermissionError:
        return False
    return True


def main(said: Sequence[str]) -> int:
    """Run or replay; return the exit code, 2 for a bad command line, 3 for a bad network."""
    try:
        mode, options, directions = parse(said)
        if mode == "replay":
            _replay(directions[0])
        else:
            _live(options, directions)
    except (EmulationError, ScenarioError) as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"relay: cannot use the interfaces: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
