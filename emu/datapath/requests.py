"""What a user asks to be loaded: a rule's file, or a controller's name, and its parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emu.datapath.agent import Agent
from emu.datapath.decision import Decision, compiled
from emu.datapath.problems import DatapathError
from emu.datapath.settings import MOST_NAME, Settings
from policies.congestion.base import CONTROLLERS
from policies.registry import UnknownNameError
from policies.rules.parse import read_rule
from policies.rules.syntax import RuleError


@dataclass(frozen=True)
class Request:
    """What to load.

    Attributes:
        what: rule or controller, as messages name it.
        settings: of the program.
        decision: the rule in integers; None: an agent decides.
        agent: the agent; None: a rule decides.
    """

    what: str
    settings: Settings
    decision: Decision | None
    agent: Agent | None


def read_request(what: str, name: str | None, parameters: Sequence[str]) -> Request:
    """Return what to load.

    Args:
        what: path of a `.rule` file, or name of a controller.
        name: what sockets are to ask for; None: `tri_` and as much of `what` as fits.
        parameters: `name=value`, of `steering` or of the controller.

    Raises:
        DatapathError: there is no such rule or controller, it cannot run in a datapath, or a
            parameter is unsound; the message names it.
    """
    given = dict(_parameter(text) for text in parameters)
    if what.endswith(".rule"):
        try:
            rule = read_rule(Path(what))
        except OSError as error:
            raise DatapathError(f"cannot read {what}: {error.strerror}") from None
        except RuleError as error:
            raise DatapathError(str(error)) from None
        settings = Settings(name or _default_name(rule.name), given)
        return Request(f"rule {rule.name}", settings, compiled(rule), None)
    try:
        agent = Agent(CONTROLLERS.get(what), given)
    except (UnknownNameError, ValueError) as error:
        raise DatapathError(f"{error}; a rule's file ends in .rule") from None
    return Request(f"controller {what}", agent.settings(name or _default_name(what)), None, agent)


def _default_name(what: str) -> str:
    return f"tri_{re.sub('[^a-z0-9_]', '_', what.lower())}"[:MOST_NAME]


def _parameter(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        sign = "" if equals else " (no =)"
        raise DatapathError(f"parameter {text!r}{sign}: write name=number") from None
