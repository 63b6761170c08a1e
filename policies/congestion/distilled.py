"""Controllers that run the rules which `policies.distill` made of the teacher.

Their names are those of `policies.distill.entrants`, where the same files act in the corrected
world. Beside each rule lies a JSON that says how it was made; `docs/distillation.md` describes the
method, after S P Sharan et al., "Symbolic Distillation for Learned TCP Congestion Control",
NeurIPS 2022. The rules of that paper were not published, so these are distilled anew.

A flow without a start rate begins with an initial window per 100 ms, whatever its link, and climbs
from there by a factor of 1.05 per interval at most.
"""

from __future__ import annotations

from policies.congestion.base import register
from policies.congestion.shipped import BRANCHING, DISTILLING, RULES, made
from policies.congestion.symbolic import Symbolic


@register("symbolic")
class Unbranched(Symbolic, rule=made(RULES / "symbolic.rule", f"{DISTILLING} symbolic")):
    """Distilled from the teacher: one formula for all links."""


@register("symbolic_branched")
class Branched(Symbolic, rule=made(RULES / "symbolic_branched.rule", BRANCHING)):
    """Distilled per context: a decider, and a formula in each of its branches."""


@register("rule_linear")
class Linear(Symbolic, rule=made(RULES / "linear.rule", f"{DISTILLING} linear")):
    """Least squares on the inputs of rules, to compare with."""


@register("rule_tree")
class Tree(Symbolic, rule=made(RULES / "tree.rule", f"{DISTILLING} tree")):
    """A regression tree on the inputs of rules, to compare with."""
