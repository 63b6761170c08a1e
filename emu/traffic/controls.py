"""Who controls a flow: the kernel's own, a rule in the kernel, or an agent that the kernel asks."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from emu.datapath import machine
from emu.datapath.problems import DatapathError
from emu.problems import EmulationError
from policies.congestion.base import CONTROLLERS

if TYPE_CHECKING:  # what a datapath needs takes longer to import than a world to build
    from emu.datapath.agent import Agent
    from emu.datapath.loading import Datapath
    from emu.datapath.settings import Settings

KERNEL = ("cubic", "bbr", "reno")
"""Controllers of ours whose counterpart is the kernel's own of that name."""

Mode = Literal["kernel", "rule", "agent"]


@dataclass(frozen=True)
class Control:
    """A controller of flows.

    Attributes:
        policy: its registered name.
        parameters: other than its defaults; the kernel's own have none.
        start_bps: where a rate-based one starts; None: it has its own start.
    """

    policy: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    start_bps: float | None = None

    @property
    def mode(self) -> Mode:
        """Return how it runs here."""
        if self.policy in KERNEL:
            return "kernel"
        from policies.congestion.symbolic import Symbolic

        made = CONTROLLERS.get(self.policy)
        return "rule" if issubclass(made, Symbolic) else "agent"


class Controls:
    """Controllers of one cell, loaded from `with` to its end.

    Args:
        controls: of all flows; one that occurs twice is loaded once.

    Attributes:
        records: how many intervals and flows the datapaths told of.

    Raises:
        EmulationError: a controller cannot run here; the message names it.
    """

    def __init__(self, controls: Sequence[Control]) -> None:
        self._stack = contextlib.ExitStack()
        self._loaded: list[tuple[Control, str, Datapath | None, Agent | None]] = []
        self._wanted = controls
        self.records = 0

    def __enter__(self) -> Controls:
        """Load them."""
        try:
            for control in self._wanted:
                if self._find(control) is None:
                    self._load(control)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Take them back."""
        self._stack.close()

    def name(self, control: Control) -> str:
        """Return what a socket asks for to have it."""
        found = self._find(control)
        assert found is not None
        return found

    def serve(self, wait_s: float) -> None:
        """Answer and read what the datapaths tell for about so long; return at once without any.

        Raises:
            EmulationError: a controller left something that is no rate.
        """
        datapaths = [(d, a) for _, _, d, a in self._loaded if d is not None]
        wait_ms = max(1, round(1000 * wait_s / max(1, len(datapaths))))
        try:
            for datapath, agent in datapaths:
                told = agent.serve(datapath, wait_ms) if agent else datapath.poll(wait_ms)
                self.records += len(told)
        except DatapathError as error:
            raise EmulationError(str(error)) from None

    @property
    def asks(self) -> bool:
        """Return whether any must be served."""
        return any(datapath is not None for _, _, datapath, _ in self._loaded)

    @property
    def missed(self) -> int:
        """Return how many records there was no room for."""
        return sum(datapath.missed for _, _, datapath, _ in self._loaded if datapath is not None)

    def _find(self, control: Control) -> str | None:
        return next((name for known, name, _, _ in self._loaded if known == control), None)

    def _load(self, control: Control) -> None:
        mode = control.mode
        if mode == "kernel":
            self._loaded.append((control, _of_kernel(control), None, None))
            return
        try:
            agent = _agent(control) if mode == "agent" else None
            datapath = self._stack.enter_context(_datapath(control, agent))
        except (DatapathError, ValueError) as error:
            raise EmulationError(f"controller {control.policy!r}: {error}") from None
        self._loaded.append((control, datapath.settings.name, datapath, agent))


def _of_kernel(control: Control) -> str:
    if control.parameters or control.start_bps is not None:
        raise EmulationError(
            f"controller {control.policy!r} is the kernel's own here; it takes no parameters"
        )
    if control.policy not in machine.available():
        raise EmulationError(
            f"the kernel has no {control.policy!r}: modprobe tcp_{control.policy}, or leave it out"
        )
    return control.policy


def _agent(control: Control) -> Agent:
    from emu.datapath.agent import Agent

    start = math.nan if control.start_bps is None else control.start_bps
    return Agent(CONTROLLERS.get(control.policy), control.parameters, start)


def _datapath(control: Control, agent: Agent | None) -> Datapath:
    from emu.datapath.decision import compiled
    from emu.datapath.loading import Datapath, under_free_name

    decision = None if agent else compiled(CONTROLLERS.get(control.policy).rule)
    return under_free_name(
        "tri_e", lambda name: Datapath(_settings(control, agent, name), decision)
    )


def _settings(control: Control, agent: Agent | None, name: str) -> Settings:
    if agent is not None:
        return agent.settings(name)
    from emu.datapath.settings import Settings

    start = {} if control.start_bps is None else {"start_bps": control.start_bps}
    return Settings(name, {**start, **control.parameters})
