"""A controller whose decisions are the text in `mine.rule`, beside this file."""

from pathlib import Path

from policies.congestion.base import register
from policies.congestion.symbolic import Symbolic


@register("rule_mine")
class Mine(Symbolic, rule=Path(__file__).with_name("mine.rule")):
    """Rises while RTTs are near their least, falls where more than a tenth is lost."""
