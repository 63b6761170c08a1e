/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The account of one monitor interval: what an ACK adds to it, and the halves of its samples.
 *
 * A sample is an acknowledged packet with the RTT of its ACK, as in `sim.net.engine.monitor`.
 * The mean of the first half of n samples is over the first n / 2. Samples are kept in 64 buckets
 * that double their width when all are full, so halves are exact up to 64 ACKs and off by
 * less than one bucket (n / 32 samples, of about the same RTT) beyond.
 */
#ifndef TRIPTYCH_INTERVAL_H
#define TRIPTYCH_INTERVAL_H

#include "arith.h"

#define BUCKETS 64

struct dp_bucket {
	u64 sum_us;
	u64 count;
};

struct dp_interval {
	u64 start_us;
	u64 end_us; /* 0 while it runs */
	u64 rate_bps; /* when it began */
	u64 rtt_sum_us;
	u64 first_ack_us;
	u64 last_ack_us;
	u64 first_sent_us; /* send time of the first sample */
	s64 sum_x; /* send times of samples less that of the first, us */
	s64 sum_y; /* RTTs of samples less that of the first, us */
	s64 sum_xy;
	s64 sum_xx;
	u32 id;
	u32 sent;
	u32 acked;
	u32 lost;
	u32 first_rtt_us;
	u32 least_rtt_us;
	u32 delivered_before; /* the connection's delivered packets when it began */
	u32 used; /* buckets in use */
	u32 width; /* samples per bucket */
	u32 app_limited; /* ACKs of packets sent while the application had nothing more to send */
	struct dp_bucket buckets[BUCKETS];
};

static __always_inline void open_interval(struct dp_interval *v, u32 id, u64 now_us, u64 rate_bps)
{
	v->id = id;
	v->start_us = now_us;
	v->end_us = 0;
	v->rate_bps = rate_bps;
	v->rtt_sum_us = v->first_ack_us = v->last_ack_us = v->first_sent_us = 0;
	v->sum_x = v->sum_y = v->sum_xy = v->sum_xx = 0;
	v->sent = v->acked = v->lost = v->app_limited = 0;
	v->first_rtt_us = v->least_rtt_us = 0;
	v->used = 0;
	v->width = 1;
}

static __always_inline void merge_buckets(struct dp_interval *v)
{
	for (int i = 0; i < BUCKETS / 2; i++) {
		v->buckets[i].sum_us = v->buckets[2 * i].sum_us + v->buckets[2 * i + 1].sum_us;
		v->buckets[i].count = v->buckets[2 * i].count + v->buckets[2 * i + 1].count;
	}
	v->used = BUCKETS / 2;
	v->width *= 2;
}

static __always_inline void add_to_buckets(struct dp_interval *v, u32 packets, u32 rtt_us)
{
	u32 at = v->used ? v->used - 1 : 0;
	if (!v->used || v->buckets[at & (BUCKETS - 1)].count >= v->width) {
		if (v->used >= BUCKETS)
			merge_buckets(v);
		at = v->used++;
		v->buckets[at & (BUCKETS - 1)].sum_us = 0;
		v->buckets[at & (BUCKETS - 1)].count = 0;
	}
	v->buckets[at & (BUCKETS - 1)].sum_us += (u64)rtt_us * packets;
	v->buckets[at & (BUCKETS - 1)].count += packets;
}

/* Count an ACK of so many packets. */
static __always_inline void add_ack(struct dp_interval *v, u64 now_us, u32 packets, u32 rtt_us)
{
	rtt_us = (u32)at_most(rtt_us, MOST_RTT_US);
	const u64 sent_us = now_us - rtt_us;
	if (!v->acked) {
		v->first_ack_us = now_us;
		v->first_sent_us = sent_us;
		v->first_rtt_us = rtt_us;
		v->least_rtt_us = rtt_us;
	}
	v->last_ack_us = now_us;
	v->acked += packets;
	v->rtt_sum_us += (u64)rtt_us * packets;
	if (rtt_us < v->least_rtt_us)
		v->least_rtt_us = rtt_us;
	const s64 x = within((s64)(sent_us - v->first_sent_us), 0, MOST_RTT_US);
	const s64 y = (s64)rtt_us - (s64)v->first_rtt_us;
	v->sum_x += x * packets;
	v->sum_y += y * packets;
	v->sum_xy += x * y * packets;
	v->sum_xx += x * x * packets;
	add_to_buckets(v, packets, rtt_us);
}

/* The sum of the RTTs of the first acked / 2 samples, us. */
static __always_inline u64 first_half_us(const struct dp_interval *v)
{
	u64 wanted = v->acked / 2, sum = 0;
	for (u32 i = 0; i < BUCKETS; i++) {
		if (i >= v->used || !wanted)
			break;
		const u64 count = v->buckets[i].count;
		if (!count)
			continue;
		if (count <= wanted) {
			sum += v->buckets[i].sum_us;
			wanted -= count;
		} else {
			sum += ((v->buckets[i].sum_us << 8) / count * wanted) >> 8;
			wanted = 0;
		}
	}
	return sum;
}

#endif
