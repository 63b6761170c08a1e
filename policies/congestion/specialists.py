"""The specialists: a network per context of links, and the decider of the branched rule.

They are what the branches of `symbolic_branched` are distilled from (`docs/distillation.md`).
"""

from __future__ import annotations

from policies.congestion.base import register
from policies.congestion.shipped import BRANCHING, RULES, TRAINING, WEIGHTS, made
from policies.congestion.specialised import Specialised

NETWORKS = (
    *("specialist_0.safetensors", "specialist_1.safetensors"),
    *("specialist_2.safetensors", "specialist_3.safetensors"),
)


@register("specialists")
class Specialists(
    Specialised,
    decider=made(RULES / "specialists.rule", BRANCHING),
    networks=[made(WEIGHTS / name, TRAINING) for name in NETWORKS],
):
    """Networks trained on the links of one context each; who acts is decided at each interval."""
