"""The C functions that rules in integers share: `functions` over again, for one value each.

Without floating point, C library, tables, signed division and 128-bit products, so that clang makes
BPF of them. And without jumps: the kernel's verifier walks every path, and after a dozen of
minima, each way of each of them, it would give up. Names begin with `fixed_`.
"""

from __future__ import annotations

from policies.rules.fixed.functions import (
    EXP_BITS,
    EXP_TERMS,
    LN2,
    LOG2E,
    LOG_TERMS,
    SQRT_TWO,
    TANH_BITS,
)

_TYPES = """\
#ifndef TRIPTYCH_FIXED_ARITHMETIC
#define TRIPTYCH_FIXED_ARITHMETIC
#ifndef __VMLINUX_H__
typedef signed long long s64;
typedef unsigned long long u64;
#endif
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define FIXED_OPAQUE(x) __asm__ __volatile__("" : "+r"(x)) /* keeps masks masks, and the order */
#define FIXED_READ(x) (*(const volatile s64 *)&(x)) /* here, and nowhere earlier */
#define FIXED_FUNCTION static __always_inline __attribute__((unused))
"""
_SIMPLE = """\

/* All ones if x is below zero, else 0. */
FIXED_FUNCTION s64 fixed_sign(s64 x)
{
    s64 mask = x >> 63;
    FIXED_OPAQUE(mask);
    return mask;
}

/* 1 if x is below zero, else 0. A mask that meets a constant would part the verifier's way in two
 * (Linux takes `x >> 63 & constant` for a condition); a product does not.
 */
FIXED_FUNCTION u64 fixed_below(s64 x)
{
    u64 flag = (u64)x >> 63;
    FIXED_OPAQUE(flag);
    return flag;
}

/* Operands are within 2^62 of zero, but for those of `fixed_input`. */
FIXED_FUNCTION s64 fixed_min(s64 a, s64 b) { return b + ((a - b) & fixed_sign(a - b)); }
FIXED_FUNCTION s64 fixed_max(s64 a, s64 b) { return a - ((a - b) & fixed_sign(a - b)); }
FIXED_FUNCTION s64 fixed_signed(s64 x, s64 sign) { return (x ^ sign) - sign; }
FIXED_FUNCTION s64 fixed_abs(s64 x) { return fixed_signed(x, fixed_sign(x)); }

FIXED_FUNCTION s64 fixed_clamp(s64 x, s64 low, s64 high)
{
    return fixed_min(fixed_max(x, low), high);
}

/* Any x brought within 2^62 of zero first: where its two highest bits differ, its sign decides. */
FIXED_FUNCTION s64 fixed_input(s64 x, s64 low, s64 high)
{
    const s64 sign = fixed_sign(x), far = fixed_sign(x ^ (s64)((u64)x << 1));
    return fixed_clamp((x & ~far) | (((s64)0x3fffffffffffffffLL ^ sign) & far), low, high);
}

/* x / 2^shift, to the nearest */
FIXED_FUNCTION s64 fixed_shift(s64 x, int shift)
{
    return (x + ((s64)1 << (shift - 1))) >> shift;
}

/* a b / 2^shift, towards zero, by halves */
FIXED_FUNCTION s64 fixed_wide(s64 a, s64 b, int shift)
{
    const u64 x = (u64)fixed_abs(a), y = (u64)fixed_abs(b), half = 0xffffffffULL;
    const u64 low = (x & half) * (y & half);
    const u64 left = (x >> 32) * (y & half), right = (x & half) * (y >> 32);
    const u64 middle = (low >> 32) + (left & half) + (right & half);
    const u64 high = (x >> 32) * (y >> 32) + (left >> 32) + (right >> 32) + (middle >> 32);
    const u64 rest = (middle << 32) | (low & half);
    return fixed_signed((s64)((high << (64 - shift)) | (rest >> shift)), fixed_sign(a ^ b));
}

/* a 2^shift / b, towards zero; b counts as `least` if it is less in magnitude */
FIXED_FUNCTION s64 fixed_divide(s64 a, s64 b, int shift, s64 least)
{
    const u64 x = (u64)fixed_abs(a) << shift, y = (u64)fixed_max(fixed_abs(b), least);
    return fixed_signed((s64)(x / y), fixed_sign(a ^ b));
}

/* square root, rounded down */
FIXED_FUNCTION s64 fixed_root(s64 x)
{
    s64 root = 0, bit = 1LL << 60;
    for (int i = 0; i < 31; i++) {
        const u64 fits = 1 ^ fixed_below(x - root - bit);
        x -= (root + bit) * (s64)fits;
        root = (root >> 1) + bit * (s64)fits;
        bit >>= 2;
    }
    return root;
}
"""
_EXP = """\

/* exp(x), x with 40 fractional bits; @EXP_BITS@ - top of the result */
FIXED_FUNCTION s64 fixed_exp(s64 x, int top)
{
    const s64 k = ((x >> 16) * @LOG2E@ + (1LL << 53)) >> 54;
    const s64 r = (x - k * @LN2@ + 512) >> 10; /* 30 fractional bits */
    const u64 shift = (u64)fixed_min(top - k, 63);
    s64 p = @FIRST@;
@STEPS@
    return (s64)((((u64)p << 31) + (((u64)1 << shift) >> 1)) >> shift);
}

/* tanh(x), x with 40 fractional bits; @TANH_BITS@ of the result */
FIXED_FUNCTION s64 fixed_tanh(s64 x)
{
    const s64 one = 1LL << @TANH_BITS@;
    const s64 e = fixed_exp(-2 * fixed_abs(x), @TANH_TOP@);
    const s64 t = (s64)(((u64)(one - e) << @TANH_BITS@) / (u64)(one + e));
    return fixed_signed(t, fixed_sign(x));
}
"""
_LOG = """\

/* log(x) with 40 fractional bits; x is above zero */
FIXED_FUNCTION s64 fixed_log(s64 x, int fraction)
{
    u64 m = (u64)x;
    s64 k = 63 - fraction, step;
@NORMAL@
    s64 f = (s64)(m >> 32); /* 1 to 2, 31 fractional bits */
    const u64 large = fixed_below(@SQRT_TWO@ - f);
    f = (f >> large) - (1LL << 31);
    k += (s64)large;
    s64 q = @FIRST@;
@STEPS@
    return k * @LN2@ + ((q * f + (1LL << 20)) >> 21);
}
#endif
"""
_NORMAL = """\
    step = (s64)fixed_below((s64)(m >> {rest}) - 1) * {step};
    m <<= step;
    k -= step;"""


def arithmetic() -> str:
    """Return the functions, guarded against being given twice."""
    exp_steps = [f"    p = ((p * r + (1LL << 29)) >> 30) + {_c(c)};" for c in EXP_TERMS[1:]]
    exp_steps.append("    p = ((p * r + (1LL << 29)) >> 30) + (1LL << 30);")
    log_steps = [f"    q = ((q * f + (1LL << 30)) >> 31) + {_c(c)};" for c in LOG_TERMS[1:]]
    normal = [_NORMAL.format(rest=64 - step, step=step) for step in (32, 16, 8, 4, 2, 1)]
    exp = _EXP.replace("@FIRST@", _c(EXP_TERMS[0])).replace("@STEPS@", "\n".join(exp_steps))
    log = _LOG.replace("@FIRST@", _c(LOG_TERMS[0])).replace("@STEPS@", "\n".join(log_steps))
    text = _TYPES + _SIMPLE + exp + log.replace("@NORMAL@", "\n".join(normal))
    for mark, value in {
        "EXP_BITS": str(EXP_BITS),
        "TANH_BITS": str(TANH_BITS),
        "TANH_TOP": str(EXP_BITS - TANH_BITS),
        "LOG2E": _c(LOG2E),
        "LN2": _c(LN2),
        "SQRT_TWO": _c(SQRT_TWO),
    }.items():
        text = text.replace(f"@{mark}@", value)
    return text


def _c(value: int) -> str:
    return f"{value}LL" if value >= 0 else f"({value}LL)"
