/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Integer arithmetic of the datapath: ratios, logarithms and powers in fixed point.
 *
 * Qn means: the integer is the value times 2^n. All functions are total. eBPF has neither floating
 * point nor signed division nor 128-bit products, so magnitudes are divided and products are split.
 * This file compiles unchanged for the kernel and as C11 in user space, where tests compare it with
 * `emu.datapath.integers`.
 */
#ifndef TRIPTYCH_ARITH_H
#define TRIPTYCH_ARITH_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define Q_INPUT 24 /* fractional bits of every input of rules */
#define Q_RATE 32  /* of rates in Mbit/s, that is bits per us */
#define Q_RTT 16   /* of RTTs in us */
#define Q_BPS 16   /* of the sending rate in bits/s */
#define Q_UNIT 30  /* of actions and of factors of the rate */
#define MOST_US (1ULL << 31)      /* an interval counts as no longer: 36 minutes */
#define MOST_PACKETS (1ULL << 22) /* and as of no more packets */
#define MOST_RTT_US (1ULL << 24)  /* an RTT counts as no longer: 17 s */

static __always_inline u64 at_most(u64 x, u64 most)
{
	return x < most ? x : most;
}

static __always_inline s64 within(s64 x, s64 low, s64 high)
{
	return x > low ? (x < high ? x : high) : low;
}

/* Mbit/s in Q_RATE of so many bits in so many us, at most 2^20 Mbit/s. */
static __always_inline u64 rate_of(u64 bits, u64 us)
{
	us = at_most(us ? us : 1, MOST_US);
	return (at_most(bits / us, 1ULL << 20) << Q_RATE) + ((bits % us) << Q_RATE) / us;
}

/* a / b in Q_INPUT, at most 256; 256 for b = 0. Relative error at most 2^-30. */
static __always_inline u64 ratio(u64 a, u64 b)
{
	if (!b || a / b >= 256)
		return 256ULL << Q_INPUT;
	const u64 whole = a / b;
	u64 rest = a % b;
	const int shift = b >> 55 ? 24 : b >> 47 ? 16 : b >> 39 ? 8 : 0;
	rest >>= shift;
	b >>= shift;
	return (whole << Q_INPUT) + (rest << Q_INPUT) / b;
}

/* 1 for x above 0, else 0; without a branch, which would double the verifier's work each time. */
static __always_inline u64 is_set(u64 x)
{
	return (x | (0 - x)) >> 63;
}

/* log2(1 + n) in Q_INPUT by repeated squaring; at most one quantum too small. */
static __always_inline s64 log2_plus_one(u32 n)
{
	u64 m = (u64)n + 1;
	u64 log = 0;
	for (int step = 32; step; step >>= 1)
		log += is_set(m >> (log + step)) * step;
	m = (m << 31) >> log; /* mantissa in 1..2, Q31 */
	for (int i = 0; i < Q_INPUT; i++) {
		m = (m * m) >> 31;
		const u64 bit = m >> 32;
		m >>= bit;
		log = (log << 1) + bit;
	}
	return (s64)log;
}

/* 2^t for |t| <= 1, both in Q_UNIT: the exponential series, relative error under 2^-26. */
static __always_inline u64 power_of_two(s64 t)
{
	t = within(t, -(1LL << Q_UNIT), 1LL << Q_UNIT);
	const s64 whole = t >> Q_UNIT; /* -1, 0 or 1 */
	const u64 x = (u64)(t - whole * (1LL << Q_UNIT));
	u64 y = 8; /* ln(2)^10 / 10! in Q_UNIT, and so on down to ln(2)^0 / 0! */
	y = 109 + ((y * x) >> Q_UNIT);
	y = 1419 + ((y * x) >> Q_UNIT);
	y = 16377 + ((y * x) >> Q_UNIT);
	y = 165394 + ((y * x) >> Q_UNIT);
	y = 1431680 + ((y * x) >> Q_UNIT);
	y = 10327387 + ((y * x) >> Q_UNIT);
	y = 59597083 + ((y * x) >> Q_UNIT);
	y = 257941248 + ((y * x) >> Q_UNIT);
	y = 744261118 + ((y * x) >> Q_UNIT);
	y = 1073741824 + ((y * x) >> Q_UNIT);
	return whole < 0 ? y >> 1 : y << whole;
}

/* rate * factor, the factor in Q_UNIT and at most 2; rate below 2^57. */
static __always_inline u64 scaled(u64 rate, u64 factor)
{
	const u64 low = rate & ((1ULL << Q_UNIT) - 1);
	return (rate >> Q_UNIT) * factor + ((low * factor) >> Q_UNIT);
}

#endif
