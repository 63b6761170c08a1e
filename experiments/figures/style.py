"""The one look of all figures: sizes, inks, and a fixed colour and marker per policy.

Colours are chosen to stay apart for colour-blind readers and to keep a contrast of 3 to 1 on
white and on near-black. Text and axes are drawn in one sentinel colour, `INK`, which the SVG
turns into `currentColor`: the same picture then works on light and on dark pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib

INK = "#0b0c0d"
"""Stands for "the colour of the text around": no other element may be drawn in it."""

COMPUTE = "#8a63c8"
MEMORY = "#b47d0a"
"""The two resources of a GPU, in every figure that shows them."""

_POLICIES = {
    "blendserve": ("#d55e00", "o"),
    "prefix_dfs": ("#2b7cc0", "s"),
    "longest_first": ("#0d9a73", "^"),
    "shuffled": ("#bf5f9e", "D"),
    "arrival": ("#7d8590", "v"),
    "cubic": ("#2b7cc0", "s"),
    "bbr": ("#0d9a73", "^"),
    "vivace": ("#bf5f9e", "D"),
    "aurora_udt": ("#d55e00", "o"),
    "aurora_gym": ("#d1495b", ">"),
    "reno": ("#6b7bd6", "p"),
    "bbr3": ("#2a93a8", "<"),
    "copa": ("#b47d0a", "X"),
    "vegas": ("#8a63c8", "P"),
    "allegro": ("#a8653a", "*"),
    "oracle": ("#7d8590", "v"),
    "fixed": ("#5f8a1f", "h"),
    "symbolic_branched": ("#871eff", "d"),
    "symbolic": ("#e1004b", "H"),
    "teacher": ("#87695a", "8"),
}
_SPARE = (
    ("#8a63c8", "P"),
    ("#b47d0a", "X"),
    ("#2a93a8", "<"),
    ("#d1495b", ">"),
    ("#5f8a1f", "h"),
    ("#6b7bd6", "p"),
    ("#a8653a", "*"),
)
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "hatch.color": INK,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.4,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "path.simplify": True,
    "svg.hashsalt": "triptych",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Look:
    """How one policy is drawn, wherever it appears."""

    colour: str
    marker: str


def look(policy: str) -> Look:
    """Return the look of a policy; a name not in the table gets one by its own hash."""
    if policy in _POLICIES:
        return Look(*_POLICIES[policy])
    return Look(*_SPARE[_place(policy)])


def looks(policies: Iterable[str]) -> dict[str, Look]:
    """Return a look for each policy of one figure, no two alike while there are spare ones."""
    found: dict[str, Look] = {}
    taken: list[Look] = []
    for policy in policies:
        if policy in found:
            continue
        own = look(policy)
        for step in range(len(_SPARE)):
            if own not in taken:
                break
            own = Look(*_SPARE[(_place(policy) + step) % len(_SPARE)])
        found[policy] = own
        taken.append(own)
    return found


def _place(policy: str) -> int:
    return hashlib.sha256(policy.encode()).digest()[0] % len(_SPARE)


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, whatever the user's own matplotlib settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield
