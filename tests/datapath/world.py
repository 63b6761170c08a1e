"""A sender, a router and a receiver in namespaces of their own, and one TCP flow between them.

`unshare -n python -m tests.datapath.world '{"congestion": NAME, ...}'` prints one line of JSON. All
of it is gone when the process ends: namespaces are held by children that end with it.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.setup.packages import find_program

ROOT = Path(__file__).resolve().parents[2]
PORT = 5201
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def start(**flow: Any) -> subprocess.Popen[str]:
    """Start a flow; see `_run` for its fields. Its only line of output is what `_run` returns."""
    command = ["unshare", "-n", sys.executable, "-m", "tests.datapath.world", json.dumps(flow)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a flow that was started; return what it measured."""
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return json.loads(out)


def _ip(*words: str, inside: int | None = None) -> None:
    enter = [] if inside is None else ["nsenter", "-t", str(inside), "-n"]
    program = find_program(words[0])
    assert program is not None
    subprocess.run([*enter, program, *words[1:]], check=True)


def _hold(pipe: Any) -> None:
    """Be a network namespace until the parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    pipe.send(True)
    signal.pause()


def _namespace() -> int:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(theirs,), daemon=True)
    process.start()
    assert ours.recv()
    assert process.pid is not None
    return process.pid


def _join(namespace: int) -> None:
    with open(f"/proc/{namespace}/ns/net") as handle:
        if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def _wire(router_end: str, host: int, subnet: str) -> None:
    """Connect a host to this namespace by a veth pair that carries whole packets only."""
    _ip("ip", "link", "add", router_end, "type", "veth", "peer", "name", "eth0")
    _ip("ip", "link", "set", "eth0", "netns", str(host))
    for name, inside in ((router_end, None), ("eth0", host)):
        one = ("gso_max_segs", "1", "gso_max_size", "1600")
        _ip("ip", "link", "set", name, *one, "up", inside=inside)
    _ip("ip", "addr", "add", f"{subnet}.1/24", "dev", router_end)
    _ip("ip", "addr", "add", f"{subnet}.2/24", "dev", "eth0", inside=host)
    _ip("ip", "route", "add", "default", "via", f"{subnet}.1", inside=host)


def _receive(namespace: int, ready: Any, pipe: Any) -> None:
    """Take one connection; tell how many bytes came."""
    _join(namespace)
    total = 0
    with socket.create_server(("10.0.2.2", PORT)) as listener:
        ready.set()
        connection, _ = listener.accept()
        while data := connection.recv(1 << 16):
            total += len(data)
    pipe.send(total)


def _send(namespace: int, congestion: str, seconds: float, pipe: Any) -> None:
    """Send as much as goes for so long; tell when that is over, then wait for the other end."""
    _join(namespace)
    with socket.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        connection.connect(("10.0.2.2", PORT))
        data, end = bytes(1 << 16), time.monotonic() + seconds
        connection.settimeout(0.5)
        while time.monotonic() < end:
            try:
                connection.send(data)
            except TimeoutError:
                continue
        pipe.send(True)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        connection.recv(1)


def _sent_bytes(device: str) -> int:
    """Return the bytes of frames that a device of this namespace has sent."""
    lines = Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines()
    fields = next(line.split() for line in lines if line.strip().startswith(f"{device}:"))
    return int(fields[9])


def _run(
    congestion: str, seconds: float, mbps: float, limit_bytes: int, from_s: float = 1.0
) -> dict[str, Any]:
    """Send for so long through a link of `mbps` with a FIFO of `limit_bytes`.

    Returns:
        `total`, bytes that arrived, and `wire_bps`, what the link carried from `from_s` on.
    """
    _ip("ip", "link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    sender, receiver = _namespace(), _namespace()
    _wire("left", sender, "10.0.1")
    _wire("right", receiver, "10.0.2")
    shape = ("rate", f"{mbps}mbit", "burst", "3100", "limit", str(limit_bytes))
    _ip("tc", "qdisc", "add", "dev", "right", "root", "tbf", *shape)
    fork = multiprocessing.get_context("fork")
    arrived, counted = multiprocessing.Pipe(False)
    over, told = multiprocessing.Pipe(False)
    ready = fork.Event()
    fork.Process(target=_receive, args=(receiver, ready, counted), daemon=True).start()
    assert ready.wait(10)
    fork.Process(target=_send, args=(sender, congestion, seconds, told), daemon=True).start()
    time.sleep(from_s)
    before, since = _sent_bytes("right"), time.monotonic()
    assert over.poll(seconds + 10)
    carried, span_s = _sent_bytes("right") - before, time.monotonic() - since
    assert arrived.poll(10)
    return {"total": arrived.recv(), "wire_bps": 8.0 * carried / span_s}


def main(arguments: Sequence[str]) -> None:
    """Run the flow that the argument describes, and print what it measured."""
    print(json.dumps(_run(**json.loads(arguments[0]))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
