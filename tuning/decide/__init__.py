"""Back-to-back fusion and padding, applied only where they are measured to be faster.

Bolt decides both by profiling (section 3.1.1: compute-bound chains lose by fusion; section 3.2.3:
padding costs a copy). Here what would be replaced and what would replace it run side by side in
one process, turn by turn, and the decision needs an interval of their ratio that is above 1.
"""

from tuning.decide.padding import PaddingDecision, decide_padding
from tuning.decide.pair import PairDecision, decide_pair
from tuning.decide.race import Race, Raced, RaceError
from tuning.decide.ratio import Ratio, ratio_of

__all__ = [
    "PaddingDecision",
    "PairDecision",
    "Race",
    "RaceError",
    "Raced",
    "Ratio",
    "decide_padding",
    "decide_pair",
    "ratio_of",
]
