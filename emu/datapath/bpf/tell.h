/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Records to user space. */
#ifndef TRIPTYCH_TELL_H
#define TRIPTYCH_TELL_H

#include "flow.h"

static __always_inline void describe_flow(struct dp_record *r, struct sock *sk, const struct dp_flow *f)
{
	r->rate_bps = f->rate >> Q_BPS;
	r->next_us = f->planned_us;
	r->action = f->action;
	r->flow = f->id;
	r->min_rtt_us = (u32)f->memory.min_rtt_us;
	r->srtt_us = tcp(sk)->srtt_us >> 3;
	r->packet_bytes = f->packet_bytes;
	r->payload_bytes = f->payload_bytes;
	r->ports = (u32)sk->__sk_common.skc_num << 16 | bpf_ntohs(sk->__sk_common.skc_dport);
	r->serial = f->serial;
	r->warmup_left = f->warmup_left;
	r->acted = f->acted;
}

static __always_inline void describe_interval(struct dp_record *r, const struct dp_interval *v)
{
	r->start_us = v->start_us;
	r->end_us = v->end_us;
	r->rtt_sum_us = v->rtt_sum_us;
	r->first_half_us = first_half_us(v);
	r->ack_span_us = v->last_ack_us - v->first_ack_us;
	r->sum_x = v->sum_x;
	r->sum_y = v->sum_y;
	r->sum_xy = v->sum_xy;
	r->sum_xx = v->sum_xx;
	r->interval_rate_bps = v->rate_bps;
	r->id = v->id;
	r->sent = v->sent;
	r->acked = v->acked;
	r->lost = v->lost;
	r->least_rtt_us = v->least_rtt_us;
	r->app_limited = v->app_limited;
}

/* Tell of an interval; of the running one, whose counts are not complete, but for TOLD_INTERVAL.
 * An agent is woken at once; whoever only watches a rule looks from time to time, as waking costs
 * the kernel more than deciding.
 */
static __noinline int tell(struct sock *sk, struct dp_flow *f, u32 number, u32 kind, u64 now_us)
{
	if (!TELLS)
		return 0;
	struct dp_record *r = bpf_ringbuf_reserve(&told, sizeof(*r), 0);

	f->serial++;
	if (!r)
		return 0;
	r->now_us = now_us;
	r->kind = kind;
	describe_flow(r, sk, f);
	describe_interval(r, slot(f, number));
	for (int i = 0; i < INPUT_COUNT; i++)
		r->table[i] = f->memory.table[i];
	bpf_ringbuf_submit(r, RULE_MODE ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
	return 0;
}

#endif
