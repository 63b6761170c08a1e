"""One flow at a time from one host to another: started, left to settle, watched, ended."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from emu.problems import EmulationError
from emu.topology.network import Network
from emu.traffic import iperf
from emu.traffic.flows import report_of, wait_for

Snapshot = TypeVar("Snapshot")
_SPARE_S = 10.0
_TURN_MS = 20


def turn(
    network: Network,
    congestion: str,
    seconds: tuple[float, float],
    look: Callable[[], Snapshot],
    poll: Callable[[int], None] | None = None,
    options: Sequence[str] = (),
) -> tuple[Snapshot, Snapshot]:
    """Run a flow from `s1` to `r1`; return what `look` saw after the start and at the end.

    Args:
        network: with both hosts, idle.
        congestion: what the socket asks for.
        seconds: of the start, and of what is watched.
        look: takes a snapshot.
        poll: called again and again while the flow lasts.
        options: further ones of iperf3's client.

    Raises:
        EmulationError: the flow failed, or ran under another congestion control.
    """
    server = network.popen("r1", iperf.server())
    try:
        wait_for(server)
        length = sum(seconds) + _SPARE_S
        command = iperf.client(network.address("r1"), congestion, length, options)
        client = network.popen("s1", command)
        rest(seconds[0], poll)
        before = look()
        rest(seconds[1], poll)
        after = look()
        with contextlib.suppress(ProcessLookupError):
            client.send_signal(signal.SIGINT)
        report = report_of(client, f"flow of {congestion}")
        if report is None or report.congestion != congestion:
            raise EmulationError(f"the flow of {congestion} did not run under it")
        return before, after
    finally:
        server.kill()
        server.wait()


def host_file(network: Network, host: str, path: str) -> str:
    """Return the content of a file of /proc as a host sees it."""
    return network.run(host, ["cat", path], 10.0).stdout


def rest(seconds: float, poll: Callable[[int], None] | None = None) -> None:
    """Let so many seconds pass; `poll` is called again and again meanwhile, with ms to wait."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0.0:
        if poll is None:
            time.sleep(left)
        else:
            poll(min(_TURN_MS, max(1, round(1000 * left))))
