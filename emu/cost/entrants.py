"""Who is timed: a rule in the datapath, and the congestion controls that it is held against."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from emu.cost import statistics
from emu.cost.hooks import PER_ACK, Hooks
from emu.cost.statistics import Ran
from emu.datapath.decision import compiled
from emu.datapath.loading import Datapath, under_free_name
from emu.datapath.records import INTERVAL
from emu.datapath.settings import Settings
from policies.congestion.base import CONTROLLERS

RULE, WATCHED = "rule", "rule_watched"
"""A rule that nobody watches, and one that tells user space of every decision."""
RULE_PER_ACK = "rate_control"


@dataclass
class Entrant:
    """A congestion control by eBPF whose programs are timed.

    Attributes:
        congestion: what sockets ask for.
        per_ack: name of the program that runs once per ACK.
        programs: file descriptor of each, by name.
        poll: reads what it tells user space, for about so many ms; None: it tells nothing.
        decisions: how many intervals it has told of so far.
    """

    congestion: str
    per_ack: str
    programs: Mapping[str, int]
    poll: Callable[[int], None] | None = None
    decisions: int = 0

    def ran(self) -> dict[str, Ran]:
        """Return what its programs have run so far."""
        return statistics.read(self.programs)


@contextlib.contextmanager
def loaded(
    policy: str, parameters: Mapping[str, float], window: int
) -> Iterator[dict[str, Entrant]]:
    """Load a rule and what it is held against; take all back at the end.

    Args:
        policy: name of a symbolic controller.
        parameters: its own.
        window: packets in flight of the empty one.

    Raises:
        DatapathError: one cannot be loaded, or the kernel has no CUBIC or BBR to call.
    """
    with contextlib.ExitStack() as stack:
        found = {
            name: _rule(stack, policy, parameters, tells)
            for name, tells in ((RULE, False), (WATCHED, True))
        }
        for which, per_ack in PER_ACK.items():
            hooks = Hooks(which, window)
            stack.callback(hooks.close)
            found[which] = Entrant(hooks.name, per_ack, hooks.loaded.programs())
        yield found


def _rule(
    stack: contextlib.ExitStack, policy: str, parameters: Mapping[str, float], tells: bool
) -> Entrant:
    decision = compiled(CONTROLLERS.get(policy).rule)

    def load(name: str) -> Datapath:
        return Datapath(Settings(name, parameters, tells=tells), decision)

    datapath = stack.enter_context(under_free_name("tri_a", load))
    entrant = Entrant(datapath.settings.name, RULE_PER_ACK, datapath.programs())

    def poll(wait_ms: int) -> None:
        told = datapath.poll(wait_ms)
        entrant.decisions += sum(int(record["kind"]) == INTERVAL for record in told)

    entrant.poll = poll if tells else None
    return entrant
