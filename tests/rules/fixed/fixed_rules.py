"""Rules in integers to test with: hand-written ones with all operators, and random inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.congestion.rule_inputs import EMPTY, INPUTS
from policies.rules.fixed.compile import FixedRule
from policies.rules.fixed.formats import Format
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule

HEAD = """\
triptych-rule 1
name written
action [-1, 1]
input latency_ratio [1, 100]
input latency_ratio_slow [1, 100]
input latency_inflation_fast [-10, 10]
input send_ratio_fast [0, 10]
input loss_slow [0, 1]
input min_rtt_ms [1e-3, 1e4]
input received_mbps [0, 1e4]

"""
BRANCHED = """\
if min_rtt_ms <= 20
then
  if loss_slow < 0.02
  then min(0.5, 2 * (1.1 - latency_ratio) - 3 * abs(latency_inflation_fast)) / (1 + loss_slow)
  else tanh(4 * (1.2 - latency_ratio_slow)) - sqrt(loss_slow)
else if received_mbps / min_rtt_ms > 2 * send_ratio_fast - 0.7
then 0.3 * log(1 + received_mbps) * exp(-latency_ratio) - max(loss_slow, 0.01)
else max(-0.75, 1 - exp(latency_inflation_fast) / sqrt(received_mbps + 1))
  * abs(1 - send_ratio_fast)
"""
GATED = """\
(1.5 / (1 + exp(6 * (latency_ratio - 1.4))) - 0.7) * (2 - min(send_ratio_fast, 1.8))
+ (if loss_slow >= 0.1 then -2 * loss_slow else 0.01 * (latency_ratio_slow - latency_ratio))
"""


def written(body: str) -> Rule:
    return parse_rule(HEAD + body)


def long_rule(terms: int = 18) -> Rule:
    """Return a rule of about 150 operations: terms of eight, summed in two halves."""
    words = [
        f"({0.1 * n - 0.9:.1f} * tanh({1 + n % 3} * (latency_ratio - {1 + 0.1 * n:.1f})) "
        f"* min(loss_slow + {0.05 * n:.2f}, {0.3 + 0.02 * n:.2f}) "
        f"/ (1 + {0.2 * n:.1f} * send_ratio_fast))"
        for n in range(terms)
    ]
    half = terms // 2
    return written(f"({' + '.join(words[:half])}) + ({' + '.join(words[half:])})")


def as_met(rule: Rule, count: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return inputs around what they are before anything happened, some of them far from it."""
    rng = np.random.default_rng(seed)
    empty = dict(zip(INPUTS, EMPTY, strict=True))
    spread = 10.0 ** rng.uniform(-4.0, 1.0, count)
    return {
        i.name: np.clip(empty[i.name] + spread * rng.normal(size=count), i.low, i.high)
        for i in rule.inputs
    }


def integer_rows(fixed: FixedRule, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Return int64[count, inputs]: in bounds, at them, one beside, and any 64 bits."""
    return np.stack([_column(form, rng, count) for form in fixed.inputs], axis=1)


def _column(form: Format, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    low, high = form.low, form.high
    ends = np.array([low, high, low - 1, high + 1, 0, 1, -1, -(2**63), 2**63 - 1])
    inside = rng.integers(form.low, form.high, count, endpoint=True)
    low_bits = np.clip(inside >> rng.integers(0, 40, count), form.low, form.high)
    any_bits = rng.integers(-(2**63), 2**63 - 1, count, dtype=np.int64, endpoint=True)
    kind = rng.choice(4, count, p=(0.5, 0.25, 0.15, 0.1))
    return np.choose(kind, [inside, low_bits, rng.choice(ends, count), any_bits])
