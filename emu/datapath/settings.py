"""What a loaded datapath is made with: its name, `steering`'s parameters, how intervals count."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from emu.datapath.integers import EMPTY, HIGH, LOW, Q_BPS, Q_UNIT
from emu.datapath.problems import DatapathError
from emu.datapath.records import RECORD
from policies.congestion import steering as s
from policies.congestion.rule_inputs import KINDS, WIDTH

MOST_NAME = 15
_NAME = re.compile(r"[a-z][a-z0-9_]{0,14}")


class _Parameters(s.Steered):
    name = "datapath"


@dataclass(frozen=True)
class Settings:
    """Constants of a program.

    Attributes:
        name: what sockets ask for (TCP_CONGESTION): a lower-case letter, then up to 14 letters,
            digits, `_`.
        parameters: of `steering`, for rules; defaults are filled in.
        by_sent: whether intervals count the packets sent in them, not those settled in them.
        tell_starts: whether the agent is told when an interval begins.
        tells: whether user space is told at all; a rule that nobody watches need not.

    Raises:
        DatapathError: the name is unsound, or a parameter unknown or out of range.
    """

    name: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    by_sent: bool = False
    tell_starts: bool = False
    tells: bool = True

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            _Parameters.constants(self.parameters)
        except ValueError as error:
            raise DatapathError(str(error)) from None

    def values(self) -> list[float]:
        """Return the parameters in `steering`'s order."""
        return list(_Parameters.constants(self.parameters))

    def header(self, rule_mode: bool) -> str:
        """Return config.h."""
        own = self.values()
        first_ns = own[s.FIRST_INTERVAL_NS]
        lines = {
            "DATAPATH_NAME": f'"{self.name}"',
            "RULE_MODE": int(rule_mode),
            "BY_SENT": int(self.by_sent),
            "TELL_STARTS": int(self.tell_starts),
            "TELLS": int(self.tells),
            "RECORD_BYTES": RECORD.itemsize,
            "START_BPS": f"{round(own[s.START_BPS])}ULL",
            "INITIAL_WINDOW": 10,
            "FIRST_INTERVAL_KNOWN": int(first_ns > 0.0),
            "FIRST_INTERVAL_US": max(1, round((first_ns or 1e7) / 1e3)),
            "STEP_LOG2": f"{step_log2(own[s.DELTA])}LL",
            "LEAST_RATE": f"{round(own[s.MIN_BPS] * 2**Q_BPS)}ULL",
            "MOST_RATE": f"{round(own[s.MAX_BPS] * 2**Q_BPS)}ULL",
            "INTERVAL_RTTS": f"{max(1, round(own[s.INTERVAL_RTTS] * 2**16))}ULL",
            "LEAST_PACKETS": int(own[s.LEAST_PACKETS]),
            "WARMUP_INTERVALS": int(own[s.WARMUP_INTERVALS]),
        }
        return "".join(f"#define {name} {value}\n" for name, value in lines.items())


def step_log2(delta: float) -> int:
    """Return log2(1 + delta) in Q_UNIT, what an action of 1 adds to log2 of the rate."""
    return round(math.log1p(delta) / math.log(2.0) * 2**Q_UNIT)


def check_name(name: str) -> None:
    """Check the name of a congestion control.

    Raises:
        DatapathError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise DatapathError(
            f"name {name[:40]!r}: a lower-case letter, then up to {MOST_NAME - 1} lower-case "
            "letters, digits or _"
        )


def inputs_table() -> str:
    """Return inputs_table.h: bounds and empty values of the inputs in Q_INPUT."""
    lines = [f"#define INPUT_COUNT {WIDTH}", f"#define INPUT_KINDS {KINDS}"]
    for name, values in (("LOW", LOW), ("HIGH", HIGH), ("EMPTY", EMPTY)):
        listed = ", ".join(f"{value}LL" for value in values)
        lines.append(f"static const s64 INPUT_{name}[INPUT_COUNT] = {{{listed}}};")
    return "\n".join(lines) + "\n"
