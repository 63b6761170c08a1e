"""Rules to C99 functions that give the same bits as `elementary`.

To be compiled with -ffp-contract=off and without -ffast-math, at any -O, where double is IEEE 754
and evaluated as such (FLT_EVAL_METHOD 0); to be linked with -lm for frexp, ldexp and sqrt, which
are exact or correctly rounded.
"""

from __future__ import annotations

import math
import re

from policies.rules.elementary import (
    EPS,
    EXP_TERMS,
    LN2_HIGH,
    LN2_LOW,
    LOG2E,
    LOG_TERMS,
    MOST_EXP,
    MOST_TANH,
    SQRT_HALF,
)
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Expression, If, Number, Unary, Variable, shown, walk

FLAGS = ("-std=c99", "-O2", "-ffp-contract=off")
"""What to compile with."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_CALLS = {
    "abs": "rule_abs",
    "sqrt": "rule_root",
    "tanh": "rule_tanh",
    "exp": "rule_exp",
    "log": "rule_log",
    "/": "rule_divide",
    "min": "rule_smaller",
    "max": "rule_larger",
}

_ARITHMETIC = """\
#ifndef TRIPTYCH_RULE_ARITHMETIC
#define TRIPTYCH_RULE_ARITHMETIC
#ifdef __FAST_MATH__
#error "rules are exact to the bit: compile without -ffast-math, with -ffp-contract=off"
#endif
#include <math.h>

static inline double rule_clamped(double x, double low, double high)
{
    return x >= low ? (x > high ? high : x) : low;
}

static inline double rule_divide(double a, double b)
{
    if (b < 0.0)
        return a / (b < -@EPS@ ? b : -@EPS@);
    return a / (b > @EPS@ ? b : @EPS@);
}

static inline double rule_smaller(double a, double b) { return a < b ? a : b; }
static inline double rule_larger(double a, double b) { return a > b ? a : b; }
static inline double rule_abs(double x) { return x < 0.0 ? -x : x; }
static inline double rule_root(double x) { return x > 0.0 ? sqrt(x) : 0.0; }

/* exp(x) = 2^k (1 + p) */
static inline double rule_reduced(double x, int *k)
{
    static const double terms[] = {@EXP_TERMS@};
    double r, q = 0.0;
    x = x > -@MOST_EXP@ ? x : -@MOST_EXP@;
    x = x < @MOST_EXP@ ? x : @MOST_EXP@;
    *k = (int)(x * @LOG2E@ + 64.5) - 64;
    r = (x - *k * @LN2_HIGH@) - *k * @LN2_LOW@;
    for (unsigned i = 0; i < sizeof terms / sizeof *terms; i++)
        q = q * r + terms[i];
    return r + (r * r) * q;
}

static inline double rule_exp(double x)
{
    int k;
    const double p = rule_reduced(x, &k);
    return ldexp(1.0 + p, k);
}

static inline double rule_tanh(double x)
{
    int k;
    const double a = rule_abs(x);
    const double p = rule_reduced(2.0 * (a < @MOST_TANH@ ? a : @MOST_TANH@), &k);
    const double m = ldexp(p, k) + (ldexp(1.0, k) - 1.0);
    const double t = m / (m + 2.0);
    return x < 0.0 ? -t : t;
}

static inline double rule_log(double x)
{
    static const double terms[] = {@LOG_TERMS@};
    int k;
    double q = 0.0, m = frexp(x > @EPS@ ? x : @EPS@, &k);
    if (m < @SQRT_HALF@) {
        m = m + m;
        k = k - 1;
    }
    const double f = m - 1.0, s = f / (f + 2.0), z = s * s;
    for (unsigned i = 0; i < sizeof terms / sizeof *terms; i++)
        q = q * z + terms[i];
    return k * @LN2_HIGH@ - ((s * (f - z * q) - k * @LN2_LOW@) - f);
}
#endif
"""


def c_function(rule: Rule, name: str) -> str:
    """Return the source of `double name(const double *inputs)`, complete in itself.

    The i-th input of the rule is `inputs[i]`; any double is allowed. Several such sources may
    follow one another in one file.

    Raises:
        ValueError: `name` cannot name a C function.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{shown(name)} cannot name a C function; use letters, digits, _")
    read = {node.name for node in walk(rule.body) if isinstance(node, Variable)}
    lines = [_arithmetic(), f"double {name}(const double *inputs)", "{"]
    for n, i in enumerate(rule.inputs):
        if i.name in read:
            bounds = f"{_number(i.low)}, {_number(i.high)}"
            value = f"rule_clamped(inputs[{n}], {bounds})"
            lines.append(f"    const double x{n} = {value}; /* {i.name} */")
    if not read:
        lines.append("    (void)inputs;")
    names = {i.name: f"x{n}" for n, i in enumerate(rule.inputs)}
    action = f"{_expression(rule.body, names)}, {_number(rule.low)}, {_number(rule.high)}"
    return "\n".join([*lines, f"    return rule_clamped({action}) + 0.0;", "}", ""])


def _arithmetic() -> str:
    """Return the functions that all rules share, guarded against being given twice."""
    text = _ARITHMETIC
    for mark, value in {
        "EPS": EPS,
        "MOST_EXP": MOST_EXP,
        "MOST_TANH": MOST_TANH,
        "LOG2E": LOG2E,
        "LN2_HIGH": LN2_HIGH,
        "LN2_LOW": LN2_LOW,
        "SQRT_HALF": SQRT_HALF,
    }.items():
        text = text.replace(f"@{mark}@", value.hex())
    for mark, values in {"EXP_TERMS": EXP_TERMS, "LOG_TERMS": LOG_TERMS}.items():
        text = text.replace(f"@{mark}@", ", ".join(value.hex() for value in values))
    return text


def _number(value: float) -> str:
    """Return a C constant with the very bits of `value`."""
    negative = math.copysign(1.0, value) < 0.0  # -0.0 as well: `-` and `-0x0` would be `--`
    return f"({value.hex()})" if negative else value.hex()


def _expression(node: Expression, names: dict[str, str]) -> str:
    match node:
        case Number(value):
            return _number(value)
        case Variable(name):
            return names[name]
        case Unary("-", operand):
            return f"(-{_expression(operand, names)})"
        case Unary(kind, operand):
            return f"{_CALLS[kind]}({_expression(operand, names)})"
        case Binary(kind, left, right) if kind in _CALLS:
            return f"{_CALLS[kind]}({_expression(left, names)}, {_expression(right, names)})"
        case Binary(kind, left, right):
            return f"({_expression(left, names)} {kind} {_expression(right, names)})"
        case If(condition, then, otherwise):
            left, right = (_expression(n, names) for n in (condition.left, condition.right))
            chosen = f"{_expression(then, names)} : {_expression(otherwise, names)}"
            return f"({left} {condition.kind} {right} ? {chosen})"
