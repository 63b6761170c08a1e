/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What a rule may ask about, in integers: `policies.congestion.rule_inputs` without floats.
 *
 * Each input has Q_INPUT fractional bits. The order of the table, its bounds and its empty values
 * are generated from the table of floats (`inputs_table.h`). `emu.datapath.integers` is the same in
 * Python, equal to the bit.
 */
#ifndef TRIPTYCH_INPUTS_H
#define TRIPTYCH_INPUTS_H

#include "arith.h"
#include "interval.h"
#include "inputs_table.h"

enum { INFLATION, LATENCY, SEND, LOSS, THROUGHPUT, LEAST_LATENCY, PACKETS, FEATURE_COUNT };

_Static_assert(FEATURE_COUNT * INPUT_KINDS + 3 == INPUT_COUNT, "the table of inputs has changed");

struct dp_memory {
	u64 mean_rtt; /* Q_RTT us */
	u64 received; /* Q_RATE Mbit/s, as the two below */
	u64 most_received;
	u64 sending;
	u64 min_rtt_us; /* of the connection */
	s64 table[INPUT_COUNT];
};

static __always_inline void begin_inputs(struct dp_memory *m)
{
	m->mean_rtt = m->received = m->most_received = m->sending = m->min_rtt_us = 0;
	for (int i = 0; i < INPUT_COUNT; i++)
		m->table[i] = INPUT_EMPTY[i];
}

static __always_inline u64 duration_us(const struct dp_interval *v)
{
	return at_most(v->end_us > v->start_us ? v->end_us - v->start_us : 1, MOST_US);
}

/* Take an interval into the memory that features rest on: `interval_features.account`. */
static __always_inline void account(struct dp_memory *m, const struct dp_interval *v, u32 packet_bits)
{
	const u64 acked = at_most(v->acked, MOST_PACKETS);
	m->sending = rate_of(at_most(v->sent, MOST_PACKETS) * packet_bits, duration_us(v));
	if (!acked)
		return;
	m->mean_rtt = (v->rtt_sum_us << Q_RTT) / v->acked;
	if (BY_SENT && v->last_ack_us > v->first_ack_us)
		m->received = rate_of((acked - 1) * packet_bits, v->last_ack_us - v->first_ack_us);
	else
		m->received = rate_of(acked * packet_bits, duration_us(v));
	if (m->received > m->most_received)
		m->most_received = m->received;
}

/* (mean RTT of the second half of the samples less that of the first) / duration. */
static __always_inline s64 inflation(const struct dp_interval *v)
{
	if (v->acked < 2)
		return 0;
	const u64 half = v->acked / 2, sum = first_half_us(v);
	const u64 first = (sum << Q_RTT) / half;
	const u64 second = ((v->rtt_sum_us - sum) << Q_RTT) / (v->acked - half);
	const u64 size = first > second ? first - second : second - first;
	const s64 rise = (s64)((size << (Q_INPUT - Q_RTT)) / duration_us(v));
	return first > second ? -rise : rise;
}

/* The feature in Q_INPUT, not yet brought in bounds. */
static __always_inline s64 measure(int feature, const struct dp_memory *m, const struct dp_interval *v)
{
	const u64 settled = (u64)v->acked + v->lost;
	switch (feature) {
	case INFLATION:
		return inflation(v);
	case LATENCY:
		return m->mean_rtt ? (s64)ratio(m->mean_rtt, m->min_rtt_us << Q_RTT) : 1LL << Q_INPUT;
	case SEND:
		if (v->acked && !BY_SENT)
			return (s64)ratio(v->sent, v->acked);
		return m->received ? (s64)ratio(m->sending, m->received) : 1LL << Q_INPUT;
	case LOSS:
		return settled ? (s64)ratio(v->lost, settled) : 0;
	case THROUGHPUT:
		return m->most_received ? (s64)ratio(m->received, m->most_received) : 0;
	case LEAST_LATENCY:
		return v->acked ? (s64)ratio(v->least_rtt_us, m->min_rtt_us) : 1LL << Q_INPUT;
	default:
		return (s64)((u64)(log2_plus_one(v->sent) + 10) / 20);
	}
}

/* An exponentially weighted mean moved towards `value` by 2^-shift of the way, rounded. */
static __always_inline s64 moved(s64 mean, s64 value, int shift)
{
	return mean + ((value - mean + (1LL << (shift - 1))) >> shift);
}

static __always_inline void set_feature(struct dp_memory *m, int feature, s64 value)
{
	s64 *at = &m->table[INPUT_KINDS * feature];
	value = within(value, INPUT_LOW[INPUT_KINDS * feature], INPUT_HIGH[INPUT_KINDS * feature]);
	const s64 change = value - at[2];
	at[0] = value;
	at[1] = moved(at[1], value, 1);
	at[2] = moved(at[2], value, 3);
	at[3] = change;
}

/* Take an interval into the table; `account` came first. */
static __always_inline void update_inputs(struct dp_memory *m, const struct dp_interval *v)
{
	set_feature(m, INFLATION, measure(INFLATION, m, v));
	set_feature(m, LATENCY, measure(LATENCY, m, v));
	set_feature(m, SEND, measure(SEND, m, v));
	set_feature(m, LOSS, measure(LOSS, m, v));
	set_feature(m, THROUGHPUT, measure(THROUGHPUT, m, v));
	set_feature(m, LEAST_LATENCY, measure(LEAST_LATENCY, m, v));
	set_feature(m, PACKETS, measure(PACKETS, m, v));
	const int at = INPUT_KINDS * FEATURE_COUNT;
	if (m->min_rtt_us)
		m->table[at] = within((s64)(((m->min_rtt_us << Q_INPUT) + 500) / 1000),
				      INPUT_LOW[at], INPUT_HIGH[at]);
	m->table[at + 1] = within((s64)(m->received >> (Q_RATE - Q_INPUT)),
				  INPUT_LOW[at + 1], INPUT_HIGH[at + 1]);
	m->table[at + 2] = within(log2_plus_one(v->sent), INPUT_LOW[at + 2], INPUT_HIGH[at + 2]);
}

#endif
