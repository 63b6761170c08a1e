"""A branched policy of two rules, for links below and above 10 Mbit/s."""

from __future__ import annotations

import math

from policies.distill.branches import Branches
from policies.distill.contexts import Context
from policies.distill.entrants import RULES
from policies.rules.parse import parse_rule, read_rule

CUT_BPS = 1e7


def two_branches() -> Branches:
    """Return the hand-written rule and one that only falls, with a decider between them."""
    inputs = "input received_mbps [0, 10000]"
    head = "triptych-rule 1\nname d\naction"
    decider = parse_rule(f"{head} [0, 1]\n{inputs}\nif received_mbps <= 9 then 0 else 1")
    falling = parse_rule(f"{head} [-1, 1]\n{inputs}\n-1")
    ends = (-math.inf, CUT_BPS), (CUT_BPS, math.inf)
    contexts = tuple(Context({"bandwidth_bps": own}) for own in ends)
    return Branches(decider, (read_rule(RULES / "gentle.rule"), falling), (0, 1), contexts)
